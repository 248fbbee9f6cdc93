"""Other machines, as far as a store can tell: processes with folders of their own for temporary files.

They are forked from a server that has imported everything and has never spoken to a store, whose client cannot be
forked.
"""

import multiprocessing
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.datasets.lock import TOKEN_VARIABLE
from pipeline.datasets.object_publishing import BASE_VARIABLE

SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["tests.storage.test_publishing", "obstore", "pipeline.update.yahoo"])


@dataclass
class Machine:
    """A process at work. `give` hands it something that it waits for, `take` waits for what it says."""

    process: Any
    line: Any

    def give(self, thing: object = None) -> None:
        self.line.send(thing)

    def take(self) -> Any:
        assert self.line.poll(60), "the process says nothing"
        return self.line.recv()

    def kill(self) -> None:
        self.process.kill()
        self.process.join()


def start(folder: Path, variables: Mapping[str, str], work: Callable[..., object], *arguments: object) -> Machine:
    """Have a machine do `work(line, *arguments)`. folder: for its temporary files."""
    folder.mkdir(exist_ok=True)
    ours, theirs = SERVER.Pipe()
    process = SERVER.Process(target=live, args=(str(folder), dict(variables), work, theirs, arguments), daemon=True)
    process.start()
    theirs.close()
    return Machine(process, ours)


def live(folder: str, variables: dict[str, str], work: Callable[..., object], line: Any, arguments: tuple) -> None:
    for name in (TOKEN_VARIABLE, BASE_VARIABLE):  # the server may have been started by a test that holds a run
        os.environ.pop(name, None)
    os.environ.update(variables, TMPDIR=folder)
    tempfile.tempdir = folder
    try:
        line.send(work(line, *arguments))
    except Exception as error:
        line.send(f"{type(error).__name__}: {error}")
