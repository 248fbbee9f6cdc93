"""Run a plan: the notebooks by papermill, in order, on one Spark, in one run folder that nobody else holds."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import papermill
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from papermill.exceptions import PapermillExecutionError

from pipeline import errors
from pipeline.display import Display
from pipeline.errors import PipelineError, ResourceError
from pipeline.facts import gather_facts, scrub
from pipeline.fingerprint import explain, find_inputs, open_step_source, record_stage
from pipeline.lock import hold_run
from pipeline.plan import Plan, Step, escape
from pipeline.processes import FOLDER_VARIABLE, end_children, end_orphans, measure_memory
from pipeline.progress import FILE_VARIABLE
from pipeline.report import write_report
from pipeline.spark import ROOT, connect_server, start_warm_up
from pipeline.store import clear_leftovers, prune_versions, write_atomically

TIME_LIMIT = 124
NOTEBOOK_FAILED = 7
EXIT_CODES = {name: kind.exit_code for name, kind in vars(errors).items() if hasattr(kind, "exit_code")}
EXIT_CODES |= {"ServingError": 8, "BundleError": 8}
NO_SPACE = "[Errno 28]"
KERNEL_DIED = "Kernel died before replying"  # jupyter_client's words for a kernel that never answered


class Interrupted(BaseException):
    """A signal asked the run to end. args: its number."""


@dataclass
class StageResult:
    """What became of a stage: `done`, `cached`, `failed` or `skipped`."""

    name: str
    state: str = "skipped"
    seconds: float = 0.0
    why: str | None = None  # why it ran
    error: str | None = None
    peak_bytes: int = 0  # memory of all processes of the run together


@dataclass
class RunResult:
    """A run, as run.json holds it."""

    started: str
    stages: list[StageResult]
    parameters: dict
    exit_code: int = NOTEBOOK_FAILED
    error: str | None = None
    seconds: float = 0.0
    folder: Path = field(default=Path())

    def write(self, run_dir: Path) -> None:
        """Write run.json for machines and report.html for people."""
        previous = find_previous(self.folder)
        facts = asdict(self) | {"folder": self.folder.name} | gather_facts(run_dir)
        write_atomically(self.folder / "run.json", scrub(json.dumps(facts, indent=1)) + "\n")
        write_report(facts, previous, self.folder)


class StageFailed(Exception):
    """A notebook did not run to its end. args: the exit code and one line that says what happened."""


def run_plan(plan: Plan, display: Display, fresh: bool = False) -> RunResult:
    """Run what has to run of a plan and write run.json, whatever happens. The result holds the exit code.

    Raises LockedError at once if another run holds the run folder.
    """
    with hold_run(plan.run_dir), catch_signals():
        os.environ[FOLDER_VARIABLE] = str(plan.run_dir)
        started = datetime.now(UTC)
        folder = plan.run_dir / "runs" / started.strftime("%Y%m%dT%H%M%S%f")
        folder.mkdir(parents=True)
        stages = [StageResult(step.stage.name) for step in plan.steps]
        result = RunResult(started.isoformat(timespec="seconds"), stages, dict(plan.parameters), folder=folder)
        clock = time.monotonic()
        try:
            end_orphans(plan.run_dir)
            clear_leftovers(plan.run_dir)
            run_steps(plan, result, display, fresh)
            prune_versions(plan.run_dir, plan["KEEP"])
            prune_runs(plan.run_dir, plan["KEEP"])
            result.exit_code = 0
        except Interrupted as signalled:
            result.exit_code, result.error = 128 + signalled.args[0], "The run was interrupted."
        except StageFailed as failure:
            result.exit_code, result.error = failure.args
        except PipelineError as error:
            result.exit_code, result.error = error.exit_code, str(error)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            result.exit_code, result.error = ResourceError.exit_code, describe_full_disk(plan.run_dir)
        finally:
            end_children()
            result.seconds = round(time.monotonic() - clock, 2)
            os.environ.pop(FOLDER_VARIABLE)
            try:
                result.write(plan.run_dir)
            except OSError as error:  # the disk may be full; how the run ended still counts
                display.warn(f"the run's report could not be written: {error}")
        return result


def find_previous(folder: Path) -> dict | None:
    """What run.json holds of the last run before this one that went well."""
    for path in sorted(folder.parent.glob("*/run.json"), reverse=True):
        with suppress(OSError, ValueError):
            run = json.loads(path.read_text())
            if path.parent != folder and run["exit_code"] == 0:
                return run
    return None


def prune_runs(run_dir: Path, keep: int) -> None:
    """Remove the records of all but the `keep` newest runs."""
    for folder in sorted((run_dir / "runs").iterdir())[:-keep]:
        shutil.rmtree(folder)


def run_steps(plan: Plan, result: RunResult, display: Display, fresh: bool) -> None:
    with ExitStack() as servers:
        for step, outcome in zip(plan.steps, result.stages, strict=True):
            inputs, stamp = find_inputs(plan.run_dir, step, open_step_source(step))
            outcome.why = explain(plan.run_dir, step, inputs) or ("--fresh" if fresh else None)
            if outcome.why is None:
                outcome.state = "cached"
                display.end_stage(outcome)
                continue
            if step.needs_spark and "SPARK_REMOTE" not in os.environ:
                servers.enter_context(share_spark(plan["SPARK_MASTER"], result.folder / "spark.log"))
            run_step(plan, step, outcome, result, display)
            record_stage(plan.run_dir, step, inputs, stamp)


def explain_plan(plan: Plan, display: Display, fresh: bool) -> None:
    """Say of each stage whether it would run, and why. Changes nothing."""
    display.say(f"run folder {plan.run_dir}")
    upstream_runs = False
    for step in plan.steps:
        inputs, _ = find_inputs(plan.run_dir, step, open_step_source(step))
        why = explain(plan.run_dir, step, inputs) or ("--fresh" if fresh else None)
        if why is None and upstream_runs:
            why = "if its input changes"
        upstream_runs = upstream_runs or why is not None
        display.say(f"{step.stage.name:<10}{'runs' if why else 'cached':<8}{why or 'nothing changed'}")
        for name, value in step.parameters.items():
            display.say(f"{'':<10}{name} = {value!r}")


def serve(plan: Plan) -> int:
    """Serve the run's model in a process of its own until Ctrl-C. Returns its exit code."""
    command = [sys.executable, "-m", "serving", "--run-dir", str(plan.run_dir), "--tunnel", plan["TUNNEL"]]
    with subprocess.Popen(command, cwd=ROOT) as server:
        try:
            return server.wait()
        except KeyboardInterrupt:
            return server.wait()


@contextmanager
def share_spark(master: str, log: Path) -> Iterator[None]:
    """Have all notebooks of the run use one server, which warms up while the first kernel starts."""
    with connect_server(master, log) as address:
        os.environ["SPARK_REMOTE"] = address
        warming = start_warm_up(address)
        try:
            yield
        finally:
            del os.environ["SPARK_REMOTE"]
            warming.kill()
            warming.wait()


def run_step(plan: Plan, step: Step, outcome: StageResult, result: RunResult, display: Display) -> None:
    """Execute one notebook and say how it went. Raises StageFailed or Interrupted."""
    progress = result.folder / f"{step.stage.name}.progress"
    os.environ |= {FILE_VARIABLE: str(progress), "TQDM_DISABLE": "1"}
    display.begin_stage(step.stage.name, progress)
    clock = time.monotonic()
    outcome.state = "failed"
    try:
        execute(step, result.folder / step.stage.notebook, plan["CELL_TIMEOUT"], outcome)
        outcome.state = "done"
    except Exception as error:
        code, outcome.error = describe_failure(error, step)
        with suppress(OSError), (result.folder / "run.log").open("a") as log:  # a full disk takes no log
            traceback.print_exception(error, file=log)
        raise StageFailed(code, outcome.error) from error
    finally:
        progress.unlink(missing_ok=True)
        outcome.seconds = round(time.monotonic() - clock, 2)
        display.end_stage(outcome)


def execute(step: Step, output: Path, timeout: int, outcome: StageResult) -> None:
    """Run a notebook by papermill in a thread, so that this thread hears signals. The executed notebook is kept in
    any case.
    """
    failure: list[BaseException] = []

    def work() -> None:
        try:
            papermill.execute_notebook(
                escape(step.notebook),
                escape(output),
                dict(step.parameters),
                cwd=str(step.notebook.parent),
                kernel_name="python3",
                progress_bar=False,
                execution_timeout=timeout,
                extra_arguments=["--log-level=ERROR"],  # the kernel talks over loopback, and warns of it
            )
        except BaseException as error:
            failure.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(0.5)
        outcome.peak_bytes = max(outcome.peak_bytes, measure_memory())
    if failure:
        raise failure[0]


def describe_full_disk(run_dir: Path | str) -> str:
    free = shutil.disk_usage(run_dir).free
    return f"the disk of {run_dir} is full ({free:,} bytes are free). Make room there and run again; old data is whole."


def describe_failure(error: BaseException, step: Step) -> tuple[int, str]:
    """Exit code, and one line for the terminal: what happened, where."""
    notebook = step.stage.notebook
    if isinstance(error, CellTimeoutError):
        return TIME_LIMIT, f"{notebook}: a cell took longer than CELL_TIMEOUT allows."
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return ResourceError.exit_code, f"{notebook}: {describe_full_disk(step.parameters['RUN_DIR'])}"
    if isinstance(error, DeadKernelError) or KERNEL_DIED in str(error):
        return (
            NOTEBOOK_FAILED,
            f"{notebook}: its kernel died, probably for want of memory. Run again with fewer cores (SPARK_MASTER).",
        )
    if not isinstance(error, PapermillExecutionError):
        return NOTEBOOK_FAILED, f"{notebook}: {type(error).__name__}: {error}"
    if NO_SPACE in error.evalue:
        return ResourceError.exit_code, f"{notebook}: the disk is full: {error.evalue}"
    code = EXIT_CODES.get(error.ename, NOTEBOOK_FAILED)
    known = error.ename in EXIT_CODES
    if not error.evalue:  # a line magic fails with words on standard error alone
        return (
            code,
            f"{notebook}, cell [{error.exec_count}]: a magic or an empty error ended it: see the executed notebook.",
        )
    # A foreign error may carry pages of Java; its first line says what, and the executed notebook keeps the rest.
    message = error.evalue if known else f"{error.ename}: {error.evalue.splitlines()[0][:300]}"
    return code, f"{notebook}, cell [{error.exec_count}]: {message}"


@contextmanager
def catch_signals() -> Iterator[None]:
    """Turn SIGINT and SIGTERM into Interrupted, once: what ends the run must not be interrupted in turn."""

    def interrupt(number: int, _) -> None:
        for one in (signal.SIGINT, signal.SIGTERM):
            signal.signal(one, signal.SIG_IGN)
        raise Interrupted(number)

    before = {one: signal.signal(one, interrupt) for one in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
