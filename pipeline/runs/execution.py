"""Execute a notebook by papermill, watched: its memory, its kernel, its Spark."""

import logging
import os
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import papermill
from nbclient.exceptions import DeadKernelError
from nbformat import NotebookNode
from papermill.engines import NBClientEngine, NotebookExecutionManager, papermill_engines

from pipeline.errors import ResourceError
from pipeline.runs.failures import KernelDied, StageEndedEarly
from pipeline.runs.kernels import Kernel, Kernels, make_manager
from pipeline.runs.plan import Step, escape
from pipeline.runs.processes import end_children, measure_memory
from pipeline.runs.results import StageResult
from pipeline.signals import ignore_signals
from pipeline.spark.server import SparkServer
from pipeline.spark.session import is_refused, name_server

LOG = "run.log"
UNTIMED = "untimed"  # tag of a cell
MEMORY_EVERY = 2.0  # seconds: a look takes the kernel a tenth of a second, and those who are looked at wait
SAVE_TIMEOUT = 10  # seconds
NEVER_ANSWERED = "Kernel died before replying"  # jupyter_client's words for a kernel that did not start
ENGINE = "counting"  # as papermill knows CountingEngine

Tell = Callable[[int, int], None]  # is told which cell begins, and of how many


class CountingEngine(NBClientEngine):  # type: ignore[misc]  # papermill has no types
    """papermill's own engine, which also tells which cell it is at."""

    @classmethod
    def execute_managed_notebook(
        cls, nb_man: NotebookExecutionManager, kernel_name: str, tell: Tell, **options: Any
    ) -> None:
        begin, cells = nb_man.cell_start, len(nb_man.nb.cells)

        def begin_and_tell(cell: NotebookNode, cell_index: int | None = None, **more: Any) -> None:
            tell((cell_index or 0) + 1, cells)
            begin(cell, cell_index, **more)

        nb_man.cell_start = begin_and_tell
        super().execute_managed_notebook(nb_man, kernel_name, **options)


papermill_engines.register(ENGINE, CountingEngine)


def execute(
    step: Step,
    folder: Path,
    timeout: int,
    outcome: StageResult,
    spark: SparkServer | None,
    kernels: Kernels,
    tell: Tell,
) -> None:
    """Run a step's notebook in a thread, so that this thread hears signals. The executed notebook is kept in `folder`
    in any case, and the peak of the memory in `outcome`. Raises what ended the notebook, or ResourceError as soon as
    Spark is gone: its client would go on asking for minutes. spark: the run's own server, if it has one. tell: called
    by that thread.
    """
    with kernels.use() as kernel:
        failure: list[BaseException] = []
        thread = threading.Thread(target=work, args=(step, folder, timeout, kernel, failure, tell), daemon=True)
        thread.start()
        try:
            watch(thread, step, outcome, spark)
        finally:
            if thread.is_alive():
                # papermill saves the notebook once its kernel is gone: before secrets are taken out of it.
                ignore_signals()
                end_children()
                thread.join(SAVE_TIMEOUT)
        if failure:
            raise_failure(failure[0], kernel)


def work(step: Step, folder: Path, timeout: int, kernel: Kernel, failure: list[BaseException], tell: Tell) -> None:
    try:
        notebook = papermill.execute_notebook(
            escape(step.notebook),
            escape(folder / step.stage.notebook),
            dict(step.parameters),
            cwd=str(step.notebook.parent),
            kernel_name="python3",
            progress_bar=False,
            engine_name=ENGINE,
            tell=tell,
            timeout_func=partial(limit_cell, timeout),
            kernel_manager_class=make_manager(kernel),
        )
        check_whole(notebook)
    except BaseException as error:
        failure.append(error)


def limit_cell(timeout: int, cell: NotebookNode) -> int | None:
    """The seconds that a cell may take; None for one that waits for others and has limits of its own."""
    return None if UNTIMED in cell.metadata.get("tags", []) else timeout


def watch(thread: threading.Thread, step: Step, outcome: StageResult, spark: SparkServer | None) -> None:
    """Wait for a notebook's end. Raises ResourceError if its Spark ends before it."""
    measured = 0.0
    while thread.is_alive():
        thread.join(0.5)
        if time.monotonic() - measured >= MEMORY_EVERY:
            outcome.peak_bytes = max(outcome.peak_bytes, measure_memory())
            measured = time.monotonic()
        if step.needs_spark and (end := describe_spark_end(spark)):
            raise ResourceError(end)


def describe_spark_end(spark: SparkServer | None) -> str | None:
    """What became of the Spark that the notebooks use, in one line; None as long as it is there."""
    if spark:
        return spark.describe_end()
    remote = os.environ.get("SPARK_REMOTE")
    if remote and is_refused(remote):
        return f"Nobody listens at {name_server(remote)} any more, which SPARK_REMOTE names: start that Spark again."
    return None


def raise_failure(error: BaseException, kernel: Kernel) -> None:
    """Raise what ended a notebook, with what became of its kernel if that is gone."""
    if NEVER_ANSWERED in str(error):
        raise ResourceError(kernel.describe_false_start()) from error
    if isinstance(error, DeadKernelError):
        raise KernelDied(kernel.describe_death()) from error
    raise error


def check_whole(notebook: NotebookNode) -> None:
    """Raise StageEndedEarly unless every cell of an executed notebook ran: to papermill sys.exit(0) is no error."""
    code = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]
    if any(cell.execution_count is None for cell in code):
        raise StageEndedEarly


def log_words(folder: Path) -> None:
    """Have the warnings of libraries go to the run's log instead of the terminal."""
    logging.raiseExceptions = False  # a full disk takes no log
    logging.basicConfig(filename=folder / LOG, level=logging.WARNING, force=True)
