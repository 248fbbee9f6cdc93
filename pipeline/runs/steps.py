"""The stages of a run, one after the other: those that nothing changed for are skipped, the others executed."""

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from pipeline.environment import set_variables
from pipeline.errors import PipelineError
from pipeline.runs import failures, fingerprint
from pipeline.runs.display import Display
from pipeline.runs.execution import LOG, execute
from pipeline.runs.kernels import Kernels
from pipeline.runs.plan import Plan, Step
from pipeline.runs.results import RunResult, StageResult
from pipeline.spark.progress import FILE_VARIABLE
from pipeline.spark.server import SparkServer, begin_server
from pipeline.spark.session import begin_warm_up, go_on

PROGRESS = "stage.progress"  # in the folder of a run's records, while a stage is at work
LAST_CELLS = 0.8  # of a notebook's cells have begun: then the kernel of the next one begins


def run_steps(plan: Plan, result: RunResult, display: Display, fresh: bool) -> None:
    """Run what has to run, on one Spark. Raises StageFailed, Interrupted, or InputError for input that is unusable."""
    spark: SparkServer | None = None
    kernels = Kernels(plan.steps[0].notebook.parent, result.folder / LOG)
    with ExitStack() as servers:
        servers.enter_context(set_variables({FILE_VARIABLE: str(result.folder / PROGRESS)}))
        servers.callback(kernels.drop)
        for step, outcome in zip(plan.steps, result.stages, strict=True):
            try:
                source = fingerprint.open_step_source(step)
                inputs, stamp = fingerprint.find_inputs(plan.run, step, source)
            except PipelineError as error:
                outcome.state, outcome.error = "failed", str(error)
                raise
            for warning in source.warnings if source else ():
                display.warn(warning)
            outcome.why = fingerprint.explain(plan.run, step, inputs) or ("--fresh" if fresh else None)
            if outcome.why is None:
                outcome.state, outcome.run = "cached", fingerprint.find_run(plan.run, step)
                fingerprint.note_stamp(plan.run, step, stamp)
                display.end_stage(outcome)
                continue
            if step.needs_spark and "SPARK_REMOTE" not in os.environ:
                display.begin("starting Spark")
                spark = servers.enter_context(share_spark(plan["SPARK_MASTER"], result.folder / "spark.log", kernels))
            parts = fingerprint.list_parts(step, inputs)
            run_step(plan, step, outcome, result, display, spark, kernels)
            fingerprint.record_stage(plan.run, step, inputs, parts, stamp, result.folder.name)


@contextmanager
def share_spark(master: str, log: Path, kernels: Kernels) -> Iterator[SparkServer]:
    """Have all notebooks of the run use one server. While it starts, the first kernel loads its libraries, and so does
    who warms the server up.
    """
    with begin_server(master, log) as server:
        warming = begin_warm_up(server.address)
        try:
            with set_variables({"SPARK_REMOTE": server.address}):
                kernels.prepare()
                server.wait_until_up()
                go_on(warming)
                yield server
        finally:
            warming.kill()
            warming.wait()


def run_step(
    plan: Plan,
    step: Step,
    outcome: StageResult,
    result: RunResult,
    display: Display,
    spark: SparkServer | None,
    kernels: Kernels,
) -> None:
    """Execute one notebook and say how it went. Raises StageFailed or Interrupted."""

    def tell(cell: int, cells: int) -> None:
        display.note_cell(cell, cells)
        if cell > LAST_CELLS * cells and step is not plan.steps[-1]:
            with suppress(OSError):  # then it begins with its notebook, or says there what is missing
                kernels.prepare()

    progress = result.folder / PROGRESS
    display.begin_stage(outcome, progress)
    clock = time.monotonic()
    outcome.state = "failed"
    try:
        execute(step, result.folder, plan["CELL_TIMEOUT"], outcome, spark, kernels, tell)
        outcome.state = "done"
    except Exception as error:
        code, outcome.error = failures.describe_failure(error, step)
        raise failures.StageFailed(code, outcome.error) from error
    finally:
        progress.unlink(missing_ok=True)
        outcome.seconds = round(time.monotonic() - clock, 2)
        display.end_stage(outcome)
