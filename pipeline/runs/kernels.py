"""The kernels of a run: this very Python, whatever Jupyter knows of others, with its words off the terminal."""

import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import Popen
from typing import Any

from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager

from pipeline.deaths import count_memory_kills, describe_death, killed_for_memory
from pipeline.environment import make_kernel_environment

COMMAND = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
LOCALLY = {"kernel_provisioner": {"provisioner_name": "local-provisioner"}}
OF_LOGGING = re.compile(r"(DEBUG|INFO|WARNING|ERROR|CRITICAL):\S")  # the beginning of what the run's own libraries log


@dataclass
class Kernel:
    """A notebook's kernel. home: a folder of its own, for its connection and settings. log: where its words go."""

    home: Path
    log: Path
    process: Popen[bytes] | None = None
    memory_kills: int | None = field(default_factory=count_memory_kills)

    def describe_death(self) -> str:
        """What became of the kernel and what to do, as it continues "its kernel"."""
        code = self.process.poll() if self.process else None
        death = describe_death(code, self.memory_kills)
        if killed_for_memory(code, self.memory_kills):
            return f"{death}. Run again with fewer cores (SPARK_MASTER), or with more memory."
        return f"{death}. What it said last is in {self.log}; the same command goes on where it stopped."

    def describe_false_start(self) -> str:
        """Why there never was a kernel, in one line: what it said last says so, for it ran nothing of ours."""
        code = self.process.poll() if self.process else None
        words = [line.strip() for line in self.log.read_text(errors="replace").splitlines()]
        words = [line for line in words if line and not OF_LOGGING.match(line)]
        death = describe_death(code, self.memory_kills)
        return f"its kernel did not start, it {death}. {words[-1] if words else 'It said nothing'} ({self.log})"


def make_manager(kernel: Kernel) -> type[AsyncKernelManager]:
    """A kind of manager, as papermill asks for one, that starts `kernel`."""

    class OwnKernelManager(AsyncKernelManager):
        @property
        def kernel_spec(self) -> KernelSpec:
            return KernelSpec(argv=COMMAND, display_name="Python 3", language="python", metadata=LOCALLY)

        async def start_kernel(self, **options: Any) -> None:  # type: ignore[override]  # its parent's is not async
            self.connection_file = str(kernel.home / "connection.json")
            environment = make_kernel_environment(kernel.home)
            with kernel.log.open("ab") as file:
                await super().start_kernel(**options, env=environment, stdout=file, stderr=file)
            kernel.process = getattr(self.provisioner, "process", None)

    return OwnKernelManager
