"""Who may publish into a run folder: one run at a time, and nobody who outlived his run.

Two lock files, both held by flock, which the kernel gives back when their holder dies:

- `.lock` is held by a run for its whole life, with a fresh token written in it;
- `.publish.lock` is held for the moment of a publication, and for the moment in which a new run writes its token.

A kernel started by a run knows the token from PIPELINE_RUN_TOKEN. It publishes only while that run is alive and
nobody took over.

A draft is held by whoever writes it, so that the holder of the run folder can tell it from what a killed process left.
"""

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from pipeline.errors import LockedError

TOKEN_VARIABLE = "PIPELINE_RUN_TOKEN"


@contextmanager
def hold_run(run_dir: Path, name: str = "") -> Iterator[str]:
    """Hold the run folder for a run and everything that it starts. Yields the run's token. name: what a person calls
    the folder, if not by its path.

    Raises LockedError at once if another run, or a notebook that is publishing by itself, holds it.
    """
    run_dir.mkdir(parents=True, exist_ok=True)
    with open_lock(run_dir / ".publish.lock") as publishing, open_lock(run_dir / ".lock") as lock:
        fcntl.flock(publishing, fcntl.LOCK_EX)
        if not try_lock(lock):
            raise LockedError(
                f"{name or run_dir} is in use by another run. Wait for its end, or use --run-dir for a second one."
            )
        token = secrets.token_hex(8)
        lock.truncate(0)
        lock.write(token)
        lock.flush()
        fcntl.flock(publishing, fcntl.LOCK_UN)
        os.environ[TOKEN_VARIABLE] = token
        try:
            yield token
        finally:
            del os.environ[TOKEN_VARIABLE]


@contextmanager
def publish_right(run_dir: Path, name: str = "") -> Iterator[None]:
    """Hold the right to publish into a run folder. Raises LockedError if this process does not have it. name: see
    hold_run.
    """
    called = name or run_dir
    token = os.environ.get(TOKEN_VARIABLE)
    with open_lock(run_dir / ".publish.lock") as publishing, open_lock(run_dir / ".lock") as lock:
        fcntl.flock(publishing, fcntl.LOCK_EX)
        if token is None:
            if not try_lock(lock):
                raise LockedError(
                    f"A run holds {called}: nothing was published. Wait for its end and run this cell again."
                )
        elif try_lock(lock) or lock.read() != token:
            raise LockedError(f"The run that started this notebook has ended: nothing was published into {called}.")
        yield


def hold_draft(path: Path) -> int:
    """Hold a folder for as long as the returned descriptor is open."""
    descriptor = os.open(path, os.O_RDONLY)
    with suppress(OSError):  # a file system that locks no folders: its drafts are nobody's
        fcntl.flock(descriptor, fcntl.LOCK_SH)
    return descriptor


def is_held(path: Path) -> bool:
    """Whether a living process holds a draft. One that has just gone is held by nobody."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return False


def open_lock(path: Path) -> IO[str]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    return os.fdopen(descriptor, "r+")


def try_lock(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
