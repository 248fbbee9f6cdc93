"""How a run ends badly: exit codes, and words for the terminal."""

import errno
import os
import shutil
from pathlib import Path

from nbclient.exceptions import CellTimeoutError
from papermill.exceptions import PapermillExecutionError

from pipeline import errors
from pipeline.datasets.run_folder import RunFolder
from pipeline.errors import FULL_DISK, PipelineError, ResourceError
from pipeline.runs.plan import Step
from pipeline.signals import Interrupted

TIME_LIMIT = 124
NOTEBOOK_FAILED = 7
EXIT_CODES = {name: kind.exit_code for name, kind in vars(errors).items() if hasattr(kind, "exit_code")}
EXIT_CODES |= dict.fromkeys(("ServingError", "BundleError", "UnreadableError"), 8)
NO_SPACE = tuple(map(os.strerror, FULL_DISK))  # the system's words, which Python, Java and Spark repeat
NO_ACCESS = tuple(map(os.strerror, (errno.EACCES, errno.EROFS)))


class StageFailed(Exception):
    """A notebook did not run to its end. args: the exit code and one line that says what happened."""


class KernelDied(Exception):
    """A kernel ended in the middle of its notebook. args: what became of it, as it continues "its kernel"."""


class StageEndedEarly(Exception):
    """A cell ended the kernel without any error, so the cells after it never ran."""


def describe_end(error: BaseException, run_dir: Path) -> tuple[int, str]:
    """Exit code, and one line for the terminal, of a run that an error ended."""
    match error:
        case Interrupted():
            return 128 + error.args[0], "The run was interrupted. The same command goes on where it stopped."
        case StageFailed():
            return error.args
        case PipelineError():
            return error.exit_code, str(error)
        case OSError() if error.errno in FULL_DISK:
            return ResourceError.exit_code, describe_full_disk(error, run_dir)
        case OSError() if is_about_files(error):
            return ResourceError.exit_code, f"{error}: see that it is there and can be written, and run again."
    return NOTEBOOK_FAILED, f"{type(error).__name__}: {error} (run.log has the whole of it)"


def describe_full_disk(error: OSError, run_dir: Path) -> str:
    place = Path(error.filename).parent if isinstance(error.filename, str) else run_dir
    free = shutil.disk_usage(place).free
    return f"the disk of {place} is full ({free:,} bytes are free). Make room there and run again; old data is whole."


def describe_failure(error: BaseException, step: Step) -> tuple[int, str]:
    """Exit code, and one line for the terminal: what happened, where."""
    notebook = step.stage.notebook
    if isinstance(error, PipelineError):
        return error.exit_code, f"{notebook}: {error}"
    if isinstance(error, CellTimeoutError):
        return TIME_LIMIT, f"{notebook}: a cell took longer than CELL_TIMEOUT allows."
    if isinstance(error, OSError) and error.errno in FULL_DISK:
        here = RunFolder(step.parameters["RUN_DIR"]).here
        return ResourceError.exit_code, f"{notebook}: {describe_full_disk(error, here)}"
    if isinstance(error, OSError) and is_about_files(error):
        what = f"{notebook}: {error}: see that it is there and can be written, and run again."
        return ResourceError.exit_code, what
    if isinstance(error, KernelDied):
        return NOTEBOOK_FAILED, f"{notebook}: its kernel {error}"
    if isinstance(error, StageEndedEarly):
        return (
            NOTEBOOK_FAILED,
            f"{notebook}: a cell ended the kernel before the last cell ran; see the executed notebook.",
        )
    if not isinstance(error, PapermillExecutionError):
        return NOTEBOOK_FAILED, f"{notebook}: {type(error).__name__}: {error}"
    known = error.ename in EXIT_CODES
    if not known and (full := find_line(error.evalue, NO_SPACE)):
        return ResourceError.exit_code, f"{notebook}: the disk is full: {full}. Make room there and run again."
    if not known and (closed := find_line(error.evalue, NO_ACCESS)):
        what = f"{notebook}, cell [{error.exec_count}]: {closed}: see that it can be read and written, and run again."
        return ResourceError.exit_code, what
    code = EXIT_CODES.get(error.ename, NOTEBOOK_FAILED)
    if not error.evalue:  # a magic fails with words on standard error alone, which papermill calls by its own name
        what = "a magic failed" if error.ename == "CellExecutionError" else f"{error.ename} without a message"
        return code, f"{notebook}, cell [{error.exec_count}]: {what}: see the executed notebook."
    # A foreign error may carry pages of Java; its first line says what, and the executed notebook keeps the rest.
    message = error.evalue if known else f"{error.ename}: {error.evalue.splitlines()[0][:300]}"
    return code, f"{notebook}, cell [{error.exec_count}]: {message}"


def is_about_files(error: OSError) -> bool:
    """Whether an error of the system's is one of a file or folder, not of the network, of memory or of processes."""
    return error.filename is not None or isinstance(error, FileNotFoundError)


def find_line(text: str, words: tuple[str, ...]) -> str | None:
    """The first line with some of the words."""
    found = (line.strip()[:300] for line in text.splitlines() if any(some in line for some in words))
    return next(found, None)
