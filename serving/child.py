"""`python -m serving` as a child of this process, a notebook's kernel for example: it lives exactly as long."""

import contextlib
import re
import subprocess
import sys
from pathlib import Path

from serving.errors import ServingError
from serving.processes import ROOT, make_environment
from serving.storage import is_url
from serving.tunnel import TOKEN_VARIABLE, find_token

READY = re.compile(r"serving .* on (http://\S+:(\d+)) ")
LINK = re.compile(r"public link, .*: (\S+)")


class ServerProcess:
    """A running server. It ends with `stop`, or when this process is gone, for whatever reason: then nobody holds the
    other end of its standard input any more.
    """

    def __init__(self, run_dir: Path | str, tunnel: str = "none", port: int = 0) -> None:
        """Start it and wait until it answers. tunnel: "auto" (only if a token is found), "ngrok" or "none".

        Raises ServingError, in the server's own words, if it does not start.
        """
        token = find_token() if tunnel != "none" else None  # Colab's secrets can only be read here
        place = run_dir if is_url(run_dir) else Path(run_dir).resolve()
        command = [sys.executable, "-m", "serving", "--run-dir", str(place), "--port", str(port)]
        self._process = subprocess.Popen(
            [*command, "--tunnel", tunnel, "--until-eof"],
            cwd=ROOT,
            env=make_environment(**({TOKEN_VARIABLE: token} if token else {})),
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # what interrupts a cell must not end the server
        )
        ready = READY.match(self._read_until("serving "))
        if not ready:
            self.stop()
            raise ServingError("The server did not say where it listens.")
        self.url, self.port = ready[1], int(ready[2])
        self.link: str | None = None  # of the tunnel, if there is one
        self.warning = ""  # why there is none, though one was asked for
        if tunnel == "ngrok" or (tunnel == "auto" and token):
            said = self._read_until("public link", "warning: ")
            found = LINK.match(said)
            self.link, self.warning = (found[1], "") if found else (None, said.removeprefix("warning: "))

    def _read_until(self, *beginnings: str) -> str:
        """The next line that begins so. Raises ServingError if the server ends before."""
        last = ""
        assert self._process.stdout
        for line in self._process.stdout:
            last = line.strip()
            if last.startswith(beginnings):
                return last
        self.stop()
        raise ServingError(last.removeprefix("error: ") or "The server ended as soon as it began.")

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def stop(self) -> None:
        """End the server, and its link with it."""
        with contextlib.suppress(OSError):
            if self._process.stdin:
                self._process.stdin.close()
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()
