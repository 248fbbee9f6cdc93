"""Run a plan: the notebooks by papermill, in order, on one Spark, in one run folder that nobody else holds."""

import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from pipeline.datasets.run_folder import RunFolder
from pipeline.datasets.store import next_time
from pipeline.environment import set_variables
from pipeline.errors import PipelineError
from pipeline.reports.drift import find_drift, prune_profiles, read_reference
from pipeline.runs.display import Display
from pipeline.runs.execution import LOG, execute, log_words
from pipeline.runs.failures import (
    Interrupted,
    StageFailed,
    catch_signals,
    describe_end,
    describe_failure,
    ignore_signals,
)
from pipeline.runs.fingerprint import (
    explain,
    find_inputs,
    find_run,
    list_parts,
    note_stamp,
    open_step_source,
    record_stage,
)
from pipeline.runs.plan import Plan, Step
from pipeline.runs.processes import FOLDER_VARIABLE, end_children, end_orphans
from pipeline.runs.results import RunResult, StageResult, clear_records, prune_runs
from pipeline.spark.progress import FILE_VARIABLE
from pipeline.spark.session import ROOT, connect_server, start_warm_up


def run_plan(plan: Plan, display: Display, fresh: bool = False) -> RunResult:
    """Run what has to run of a plan and write its records, whatever happens. The result holds the exit code.

    Raises LockedError at once if another run holds the run folder.
    """
    settings = {FOLDER_VARIABLE: str(plan.run), "TQDM_DISABLE": "1"}
    with plan.run.hold(), set_variables(settings), catch_signals():
        result = begin_run(plan)
        log_words(result.folder)
        clock = time.monotonic()
        try:
            prepare_folder(plan.run, display)
            reference = read_reference(plan.run)
            run_steps(plan, result, display, fresh)
            result.drift = find_drift(plan.run, reference)
            result.end(0)
        except (Interrupted, Exception) as error:
            result.end(*describe_end(error, plan.run.path))
            log(error, result)
        finally:
            ignore_signals()  # what ends the run must not be interrupted in turn
            end_children()
            with suppress(OSError):  # a kernel that was ended by force leaves drafts; else the next run clears them
                plan.run.clear_leftovers()
            result.seconds = round(time.monotonic() - clock, 2)
            finish_run(plan, result, display)
        return result


def begin_run(plan: Plan) -> RunResult:
    """Make the run's folder, with a run.json for whoever looks before the end, or after a kill."""
    home = plan.run.path / "runs"
    home.mkdir(exist_ok=True)
    folder = home / next_time(home)
    folder.mkdir()
    stages = [StageResult(step.stage.name) for step in plan.steps]
    result = RunResult(datetime.now(UTC).isoformat(timespec="seconds"), stages, dict(plan.parameters), folder=folder)
    result.write()
    return result


def prepare_folder(run: RunFolder, display: Display) -> None:
    """Put a run folder in order: end what outlived a killed run, clear what it left, go back to whole versions."""
    end_orphans(run.path)
    for sentence in (*run.restore_pointers(), *clear_records(run)):
        display.warn(sentence)
    run.clear_leftovers()


def finish_run(plan: Plan, result: RunResult, display: Display) -> None:
    """Write the records, and remove older runs and versions."""
    try:
        result.write_all(plan.run)
        plan.run.prune_versions(plan["KEEP"])
        prune_profiles(plan.run)
        prune_runs(plan.run, plan["KEEP"])
    except Exception as error:  # a full disk, a damaged dataset: how the run ended still counts
        display.warn(f"the run's records could not be written: {type(error).__name__}: {error}")
        log(error, result)


def log(error: BaseException, result: RunResult) -> None:
    with suppress(OSError), (result.folder / LOG).open("a") as file:  # a full disk takes no log
        traceback.print_exception(error, file=file)


def run_steps(plan: Plan, result: RunResult, display: Display, fresh: bool) -> None:
    with ExitStack() as servers:
        for step, outcome in zip(plan.steps, result.stages, strict=True):
            try:
                inputs, stamp = find_inputs(plan.run, step, open_step_source(step))
            except PipelineError as error:
                outcome.state, outcome.error = "failed", str(error)
                raise
            outcome.why = explain(plan.run, step, inputs) or ("--fresh" if fresh else None)
            if outcome.why is None:
                outcome.state, outcome.run = "cached", find_run(plan.run, step)
                note_stamp(plan.run, step, stamp)
                display.end_stage(outcome)
                continue
            if step.needs_spark and "SPARK_REMOTE" not in os.environ:
                servers.enter_context(share_spark(plan["SPARK_MASTER"], result.folder / "spark.log"))
            parts = list_parts(step, inputs)
            run_step(plan, step, outcome, result, display)
            record_stage(plan.run, step, inputs, parts, stamp, result.folder.name)


def explain_plan(plan: Plan, display: Display, fresh: bool) -> None:
    """Say of each stage whether it would run, and why. Changes nothing."""
    display.say(f"run folder {plan.run}")
    upstream_runs = False
    for step in plan.steps:
        inputs, _ = find_inputs(plan.run, step, open_step_source(step))
        why = explain(plan.run, step, inputs) or ("--fresh" if fresh else None)
        if why is None and upstream_runs:
            why = "if its input changes"
        upstream_runs = upstream_runs or why is not None
        display.say(f"{step.stage.name:<10}{'runs' if why else 'cached':<8}{why or 'nothing changed'}")
        for name, value in step.parameters.items():
            display.say(f"{'':<10}{name} = {value!r}")


def serve(plan: Plan) -> int:
    """Serve the run's model in a process of its own until Ctrl-C or SIGTERM. Returns its exit code."""
    command = [sys.executable, "-m", "serving", "--run-dir", str(plan.run), "--tunnel", plan["TUNNEL"]]
    with subprocess.Popen(command, cwd=ROOT) as server:
        signal.signal(signal.SIGTERM, lambda *_: server.terminate())
        try:
            return server.wait()
        except KeyboardInterrupt:
            return server.wait()


@contextmanager
def share_spark(master: str, log: Path) -> Iterator[None]:
    """Have all notebooks of the run use one server, which warms up while the first kernel starts."""
    with connect_server(master, log) as address:
        warming = start_warm_up(address)
        try:
            with set_variables({"SPARK_REMOTE": address}):
                yield
        finally:
            warming.kill()
            warming.wait()


def run_step(plan: Plan, step: Step, outcome: StageResult, result: RunResult, display: Display) -> None:
    """Execute one notebook and say how it went. Raises StageFailed or Interrupted."""
    progress = result.folder / f"{step.stage.name}.progress"
    display.begin_stage(outcome, progress)
    clock = time.monotonic()
    outcome.state = "failed"
    try:
        with set_variables({FILE_VARIABLE: str(progress)}):
            execute(step, result.folder, plan["CELL_TIMEOUT"], outcome)
        outcome.state = "done"
    except Exception as error:
        code, outcome.error = describe_failure(error, step)
        raise StageFailed(code, outcome.error) from error
    finally:
        progress.unlink(missing_ok=True)
        outcome.seconds = round(time.monotonic() - clock, 2)
        display.end_stage(outcome)
