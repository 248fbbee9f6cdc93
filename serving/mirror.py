"""Follows a model in an object store for all processes of a server: python -m serving.mirror URL FOLDER

A process of its own asks the store, once in two seconds, and lays what is new into a folder of this machine, which the
server's processes follow like any run folder. So a server of many processes costs the store one small request, and no
process that answers ever waits for it. It ends with its standard input, and so with whoever started it.
"""

import atexit
import os
import select
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

from serving.errors import ServingError, StorageError
from serving.processes import ROOT, make_environment
from serving.storage import RemoteRun, open_store, write_whole

INTERVAL = 2.0  # seconds between two requests
TROUBLE = "trouble.txt"  # in the folder: why the store could not be read at the last look
LOOKED = "looked"


class Mirror:
    """A folder that follows a run folder in a store for as long as this process lives."""

    def __init__(self, url: str) -> None:
        """Begin, and look once. Raises StorageError without the library, or for a URL that cannot be one."""
        open_store(url)
        self.url = url
        self.folder = Path(tempfile.mkdtemp(prefix="market-model-"))
        self.owner = os.getpid()
        self.ended = threading.Event()
        self.process = self.start()
        atexit.register(self.stop)
        threading.Thread(target=self.keep, name="mirror", daemon=True).start()

    def start(self) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-m", "serving.mirror", self.url, str(self.folder)],
            cwd=ROOT,
            env=make_environment(),
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        assert process.stdout
        process.stdout.readline()  # it has looked, or is gone
        return process

    def keep(self) -> None:
        """Start it again if it ends: what it was killed for may not come again."""
        while not self.ended.is_set():
            self.process.wait()
            write_whole(self.folder / TROUBLE, f"Nobody looks into {self.url} just now.".encode())
            if not self.ended.wait(INTERVAL):
                self.process = self.start()

    @property
    def trouble(self) -> str:
        """Why the store could not be read at the last look; empty if it could."""
        with suppress(OSError):
            return (self.folder / TROUBLE).read_text()
        return ""

    def stop(self) -> None:
        if self.owner != os.getpid() or self.ended.is_set():  # a process that was forked owns nothing
            return
        self.ended.set()
        self.process.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


def follow(url: str, folder: Path) -> None:
    """Fetch what is new until standard input ends."""
    run = RemoteRun(url, folder)
    while True:
        try:
            run.fetch()
            (folder / TROUBLE).unlink(missing_ok=True)
        except ServingError as error:
            write_whole(folder / TROUBLE, str(error).encode())
        except OSError as error:  # this machine's disk
            with suppress(OSError):
                write_whole(folder / TROUBLE, f"{folder} cannot be written ({error.strerror}).".encode())
        print(LOOKED, flush=True)
        due = time.monotonic() + INTERVAL
        while (left := due - time.monotonic()) > 0:
            if select.select([sys.stdin], [], [], left)[0] and not sys.stdin.read(1):
                return


if __name__ == "__main__":
    with suppress(StorageError, KeyboardInterrupt, BrokenPipeError):
        follow(sys.argv[1], Path(sys.argv[2]))
