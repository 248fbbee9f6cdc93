"""Run a plan: the notebooks by papermill, in order, on one Spark, in one run folder that nobody else holds."""

import time
import traceback
from contextlib import suppress
from datetime import UTC, datetime

from pipeline import environment, signals
from pipeline.errors import PipelineError
from pipeline.reports import drift
from pipeline.runs import execution, failures, processes, results
from pipeline.runs.display import Display
from pipeline.runs.plan import Plan
from pipeline.runs.results import RunResult, StageResult
from pipeline.runs.steps import run_steps


def run_plan(plan: Plan, display: Display, fresh: bool = False) -> RunResult:
    """Run what has to run of a plan and write its records, whatever happens. The result holds the exit code.

    Raises LockedError at once if another run holds the run folder.
    """
    settings = {processes.FOLDER_VARIABLE: str(plan.run), "TQDM_DISABLE": "1"} | environment.supply_home()
    with plan.run.hold(), environment.set_variables(settings), signals.catch_signals():
        result = begin_run(plan)
        execution.log_words(result.folder)
        clock = time.monotonic()
        try:
            prepare_folder(plan, display)
            reference = drift.read_reference(plan.run)
            with display.show(result.stages, plan.run.path):
                run_steps(plan, result, display, fresh)
            result.drift = drift.find_drift(plan.run, reference)
            result.end(0)
        except (signals.Interrupted, Exception) as error:
            result.end(*failures.describe_end(error, plan.run.here))
            log(error, result)
        finally:
            signals.ignore_signals()  # what ends the run must not be interrupted in turn
            processes.end_children()
            # A kernel that was ended by force leaves drafts. What stays, the next run clears.
            with suppress(OSError, PipelineError):
                plan.run.clear_leftovers(plan.leftover_age)
            result.seconds = round(time.monotonic() - clock, 2)
            finish_run(plan, result, display)
        return result


def begin_run(plan: Plan) -> RunResult:
    """Make the run's folder, with a run.json for whoever looks before the end, or after a kill."""
    folder = plan.run.open_records()
    stages = [StageResult(step.stage.name) for step in plan.steps]
    result = RunResult(datetime.now(UTC).isoformat(timespec="seconds"), stages, dict(plan.parameters), folder=folder)
    result.write()
    return result


def prepare_folder(plan: Plan, display: Display) -> None:
    """Put a run folder in order: end what outlived a killed run, clear what it left, go back to whole versions."""
    processes.end_orphans(plan.run.path)
    for sentence in (*plan.run.restore_pointers(), *results.clear_records(plan.run)):
        display.warn(sentence)
    plan.run.clear_leftovers(plan.leftover_age)


def finish_run(plan: Plan, result: RunResult, display: Display) -> None:
    """Write the records, put them where the data are, and remove older runs and versions."""
    try:
        try:
            result.write_all(plan.run)
        finally:
            result.kept = plan.run.keep_records(result.folder)
        plan.run.prune_versions(plan["KEEP"])
        drift.prune_profiles(plan.run)
        results.prune_runs(plan.run, plan["KEEP"])
    except Exception as error:  # a full disk, a damaged dataset: how the run ended still counts
        display.warn(f"the run's records could not be written: {type(error).__name__}: {error}")
        log(error, result)


def log(error: BaseException, result: RunResult) -> None:
    with suppress(OSError), (result.folder / execution.LOG).open("a") as file:  # a full disk takes no log
        traceback.print_exception(error, file=file)
