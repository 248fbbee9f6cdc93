"""Execute a notebook by papermill, in a kernel whose own words stay off the terminal."""

import logging
import os
import socket
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import papermill
from jupyter_client import AsyncKernelManager
from nbformat import NotebookNode

from pipeline.errors import ResourceError
from pipeline.runs.failures import StageEndedEarly, ignore_signals
from pipeline.runs.plan import Step, escape
from pipeline.runs.processes import end_children, measure_memory
from pipeline.runs.results import StageResult

LOG = "run.log"
MEMORY_EVERY = 2.0  # seconds: a look takes the kernel a tenth of a second, and those who are looked at wait
SAVE_TIMEOUT = 10  # seconds
SPARK_PORT = 15002  # where an address of Spark Connect names none


def execute(step: Step, folder: Path, timeout: int, outcome: StageResult) -> None:
    """Run a step's notebook in a thread, so that this thread hears signals. The executed notebook is kept in `folder`
    in any case, and the peak of the memory in `outcome`. Raises what ended the notebook, or ResourceError as soon as
    Spark is gone: its client would go on asking for minutes.
    """
    failure: list[BaseException] = []

    def work() -> None:
        try:
            notebook = papermill.execute_notebook(
                escape(step.notebook),
                escape(folder / step.stage.notebook),
                dict(step.parameters),
                cwd=str(step.notebook.parent),
                kernel_name="python3",
                progress_bar=False,
                execution_timeout=timeout,
                kernel_manager_class=make_quiet_kernels(folder / LOG),
                extra_arguments=["--log-level=ERROR"],  # the kernel talks over loopback, and warns of it
            )
            check_whole(notebook)
        except BaseException as error:
            failure.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    measured = 0.0
    try:
        while thread.is_alive():
            thread.join(0.5)
            if time.monotonic() - measured >= MEMORY_EVERY:
                outcome.peak_bytes = max(outcome.peak_bytes, measure_memory())
                measured = time.monotonic()
            if step.needs_spark and is_spark_gone(os.environ.get("SPARK_REMOTE")):
                raise ResourceError(
                    "Spark has ended, probably for want of memory. Run again with fewer cores (SPARK_MASTER)."
                )
    finally:
        if thread.is_alive():
            # papermill saves the notebook once its kernel is gone, which must be before secrets are taken out of it.
            ignore_signals()
            end_children()
            thread.join(SAVE_TIMEOUT)
    if failure:
        raise failure[0]


def is_spark_gone(address: str | None) -> bool:
    """Whether nobody listens any more at an address like sc://127.0.0.1:15002."""
    if not address:
        return False
    place = urlsplit(address)
    try:
        socket.create_connection((place.hostname, place.port or SPARK_PORT), timeout=1).close()
    except ConnectionRefusedError:
        return True
    except OSError:  # slow is not gone
        return False
    return False


def check_whole(notebook: NotebookNode) -> None:
    """Raise StageEndedEarly unless every cell of an executed notebook ran: to papermill sys.exit(0) is no error."""
    code = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]
    if any(cell.execution_count is None for cell in code):
        raise StageEndedEarly


def make_quiet_kernels(log: Path) -> type[AsyncKernelManager]:
    """A kind of kernel whose process writes into `log` what it would say on the terminal, as when it is interrupted."""

    class QuietKernelManager(AsyncKernelManager):
        async def start_kernel(self, **options: Any) -> None:
            with log.open("ab") as file:
                await super().start_kernel(**options, stdout=file, stderr=file)

    return QuietKernelManager


def log_words(folder: Path) -> None:
    """Have the warnings of libraries go to the run's log instead of the terminal."""
    logging.raiseExceptions = False  # a full disk takes no log
    logging.basicConfig(filename=folder / LOG, level=logging.WARNING, force=True)
