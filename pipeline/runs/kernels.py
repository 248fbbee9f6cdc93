"""The kernels of a run: this very Python, whatever Jupyter knows of others, with its words off the terminal.

A kernel begins before its notebook: while Spark starts, or while the last cells of the notebook before are at work.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from jupyter_client.provisioning.local_provisioner import LocalProvisioner

from pipeline.deaths import count_memory_kills, describe_death, killed_for_memory
from pipeline.environment import make_kernel_environment

COMMAND = [sys.executable, "-m", "pipeline.runs.early_kernel"]
LOCALLY = {"kernel_provisioner": {"provisioner_name": "local-provisioner"}}
OF_LOGGING = re.compile(r"(DEBUG|INFO|WARNING|ERROR|CRITICAL):\S")  # the beginning of what the run's own libraries log


@dataclass(frozen=True)
class Kernel:
    """A notebook's kernel. home: a folder of its own, for its connection and settings. log: where its words go."""

    home: Path
    log: Path
    process: subprocess.Popen[bytes]
    memory_kills: int | None = field(default_factory=count_memory_kills)

    def listen(self, connection_file: str) -> None:
        """Tell a kernel that has begun where to listen. One that is gone is told of when it does not answer."""
        if self.process.stdin:
            with suppress(OSError):
                self.process.stdin.write(os.fsencode(connection_file))
                self.process.stdin.close()

    def describe_death(self) -> str:
        """What became of the kernel and what to do, as it continues "its kernel"."""
        code = self.process.poll()
        death = describe_death(code, self.memory_kills)
        if killed_for_memory(code, self.memory_kills):
            return f"{death}. Run again with fewer cores (SPARK_MASTER), or with more memory."
        return f"{death}. What it said last is in {self.log}; the same command goes on where it stopped."

    def describe_false_start(self) -> str:
        """Why there never was a kernel, in one line: what it said last says so, for it ran nothing of ours."""
        code = self.process.poll()
        words = [line.strip() for line in self.log.read_text(errors="replace").splitlines()]
        words = [line for line in words if line and not OF_LOGGING.match(line)]
        death = describe_death(code, self.memory_kills)
        return f"its kernel did not start, it {death}. {words[-1] if words else 'It said nothing'} ({self.log})"


class Kernels:
    """Begins the kernels of notebooks in a folder, one at a time. log: where their words go."""

    def __init__(self, folder: Path, log: Path) -> None:
        self.folder = folder
        self.log = log
        self.next: Kernel | None = None

    def prepare(self) -> None:
        """Begin the next kernel, if none waits."""
        if self.next is None or self.next.process.poll() is not None:
            self.drop()
            self.next = begin_kernel(self.folder, self.log)

    @contextmanager
    def use(self) -> Iterator[Kernel]:
        """A kernel for the length of the block. Whoever works with it ends it."""
        self.prepare()
        kernel, self.next = self.next, None
        assert kernel
        try:
            yield kernel
        finally:
            shutil.rmtree(kernel.home, ignore_errors=True)

    def drop(self) -> None:
        """End the kernel that waits, if one does."""
        if self.next:
            self.next.process.kill()
            self.next.process.wait()
            shutil.rmtree(self.next.home, ignore_errors=True)
            self.next = None


def begin_kernel(folder: Path, log: Path) -> Kernel:
    home = Path(tempfile.mkdtemp(prefix="market-kernel-"))
    with log.open("ab") as file:
        process = subprocess.Popen(
            COMMAND,
            cwd=folder,
            env=make_kernel_environment(home) | {"JPY_PARENT_PID": str(os.getpid())},  # with which it ends
            stdin=subprocess.PIPE,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    return Kernel(home, log, process)


def make_manager(kernel: Kernel) -> type[AsyncKernelManager]:
    """A kind of manager, as papermill asks for one, whose kernel is `kernel`, which has begun."""

    class OwnKernelManager(AsyncKernelManager):
        @property
        def kernel_spec(self) -> KernelSpec:
            return KernelSpec(argv=COMMAND, display_name="Python 3", language="python", metadata=LOCALLY)

        async def start_kernel(self, **options: Any) -> None:  # type: ignore[override]  # its parent's is not async
            self.connection_file = str(kernel.home / "connection.json")
            await super().start_kernel(**options)

        async def _async_launch_kernel(self, kernel_cmd: list[str], **options: Any) -> None:
            provisioner = self.provisioner
            assert isinstance(provisioner, LocalProvisioner)

            async def adopt(*command: Any, **options: Any) -> KernelConnectionInfo:
                provisioner.process = kernel.process
                provisioner.pid = provisioner.pgid = kernel.process.pid
                kernel.listen(self.connection_file)
                return provisioner.connection_info

            provisioner.launch_kernel = adopt  # type: ignore[method-assign]
            await super()._async_launch_kernel(kernel_cmd, **options)

    return OwnKernelManager
