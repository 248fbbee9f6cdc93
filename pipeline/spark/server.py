"""The Spark Connect server that the notebooks of a run share: how it starts, and why it has ended."""

import os
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from pipeline.deaths import count_memory_kills, describe_death, killed_for_memory
from pipeline.environment import make_spark_environment
from pipeline.errors import ResourceError
from pipeline.spark.causes import find_cause, find_want_of_memory
from pipeline.spark.java import find_java
from pipeline.spark.settings import is_local, make_settings

START_TIMEOUT = 90  # seconds
SHARED = "session_id"  # in the address of a server: the session that all who use the address share
PROGRAM = "org.apache.spark.sql.connect.service.SparkConnectServer"

# Ends the process group $0 as soon as its own standard input closes, which the kernel does when the run dies, however
# it dies.
GUARD = 'cat >/dev/null; kill -TERM "-$0" 2>/dev/null; sleep 5; kill -KILL "-$0" 2>/dev/null'


@dataclass(frozen=True)
class SparkServer:
    """A server on loopback. `address` holds a session for all who use it: the Python workers of one serve no other."""

    port: int
    address: str
    process: subprocess.Popen[bytes]
    log: Path
    memory_kills: int | None  # count_memory_kills() of when it began

    def describe_end(self) -> str | None:
        """What became of the server and what to do, in one line; None as long as it is there."""
        code = self.process.poll()
        if code is None:
            return None
        death = describe_death(code, self.memory_kills)
        if said := find_want_of_memory(self.log.read_text(errors="replace")):
            death = f"has ended: {said}"
        if said or killed_for_memory(code, self.memory_kills):
            return f"Spark {death}. Run again with fewer cores (SPARK_MASTER), or with more memory."
        return f"Spark {death}. What it said last is in {self.log}; the same command goes on where it stopped."

    def wait_until_up(self) -> None:
        """Wait until it listens. Raises ResourceError, with the line of `log` that says why, if it does not start."""
        wait_for_port(self, self.port)


@contextmanager
def connect_server(master: str, log: Path) -> Iterator[SparkServer]:
    """Run a Spark Connect server on loopback for the length of the block, once it listens: see `begin_server`."""
    with begin_server(master, log) as server:
        server.wait_until_up()
        yield server


@contextmanager
def begin_server(master: str, log: Path) -> Iterator[SparkServer]:
    """Run a Spark Connect server on loopback for the length of the block. At first it does not listen yet.

    It ends with this process, even if that is killed.
    """
    port = find_port()
    settings = make_settings(master) | {
        "spark.connect.grpc.binding.address": "127.0.0.1",
        "spark.connect.grpc.binding.port": str(port),
    }
    home = find_spark()
    environment = make_spark_environment(find_java(), home, is_local(master))
    command = [str(home / "bin" / "spark-submit"), "--class", PROGRAM]
    for key, value in settings.items():
        command += ["--conf", f"{key}={value}"]
    log.parent.mkdir(parents=True, exist_ok=True)
    kills = count_memory_kills()
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, "spark-internal"],
            env=environment,
            cwd=log.parent,  # where Java writes of a crash
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    guard = subprocess.Popen(["sh", "-c", GUARD, str(process.pid)], stdin=subprocess.PIPE, start_new_session=True)
    try:
        yield SparkServer(port, f"sc://127.0.0.1:{port}/;{SHARED}={uuid.uuid4()}", process, log, kills)
    finally:
        if guard.stdin:
            guard.stdin.close()
        process.wait()
        # The guard waits before its last resort; with the server gone there is nothing left to do.
        with suppress(ProcessLookupError):
            os.killpg(guard.pid, signal.SIGTERM)  # its sleep too
        guard.wait()


def find_spark() -> Path:
    """The folder of the Spark that belongs to the Python package: programs of another version do not fit it."""
    import pyspark

    package = Path(pyspark.__file__).parent  # installed by pip, or in python/ of a Spark that was unpacked
    for home in (package, package.parents[1]):
        if (home / "bin" / "spark-submit").exists() and (home / "jars").is_dir():
            return home
    raise ResourceError(f"{package} has no Spark with it: pip install 'pyspark[connect]' into this Python.")


def find_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for_port(server: SparkServer, port: int) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline and server.process.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.1)
    code = server.process.poll()
    if code is None:
        why = f"it does not answer after {START_TIMEOUT} s. "
    else:
        why = f"it {describe_death(code, server.memory_kills)}. " if code < 0 else ""
    why += find_cause(server.log.read_text(errors="replace"))
    raise ResourceError(f"Spark did not start: {why} (All that it said: {server.log})")
