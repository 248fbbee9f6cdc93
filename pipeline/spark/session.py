"""One Spark for everybody: a session for a notebook, and the server that the notebooks of a run share.

With SPARK_REMOTE set, a notebook is a client of that Spark Connect server. Without it, it starts a Spark of its own
on SPARK_MASTER: this machine's cores, or a cluster that sees the same folders. What follows uses only what all can do:
DataFrames, mapInArrow and pyspark.ml.
"""

import atexit
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from pyspark.sql import SparkSession

from pipeline.datasets.files import hash_code
from pipeline.errors import ResourceError
from pipeline.spark.java import find_java

ROOT = Path(__file__).parents[2]
START_TIMEOUT = 90  # seconds
SHARED = "session_id"  # in the address of a server: the session that all who use the address share
CODE = "spark.market.code"  # setting: the version of the project's code that the tasks of this session use

SETTINGS = {
    "spark.app.name": "stock market pipeline",
    "spark.sql.session.timeZone": "UTC",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.shuffle.partitions": "8",
    "spark.driver.memory": "2g",
    # Results of a task are counts and statistics; a batch must hold one part's.
    "spark.sql.execution.arrow.maxRecordsPerBatch": "100000",
    # The JVM plans and waits while Python computes: a collector of one thread leaves Python the cores.
    "spark.driver.extraJavaOptions": "-XX:+UseSerialGC",
    # A laptop that slept, or an hour of plain Python between two questions, is no reason to give a session up.
    "spark.network.timeout": "7d",
    "spark.connect.session.manager.defaultSessionTimeout": "30d",
    # A worker process that imported pandas and pyarrow serves the next task as well.
    "spark.python.worker.reuse": "true",
}

# Tasks ask for the same large blocks again and again, and pages that were given back cost more to get again than the
# work on them: memory stays with a process. (glibc reads these; others ignore them.)
MEMORY_STAYS = {
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "MALLOC_MMAP_THRESHOLD_": str(2**32),
    "MALLOC_TRIM_THRESHOLD_": str(2**32),
}

# Ends the process group $0 as soon as its own standard input closes, which the kernel does when the run dies, however
# it dies.
GUARD = 'cat >/dev/null; kill -TERM "-$0" 2>/dev/null; sleep 5; kill -KILL "-$0" 2>/dev/null'


def open_spark(master: str) -> SparkSession:
    """A session on the server that SPARK_REMOTE names, else on a Spark of this process's own at `master`.

    Raises ResourceError without Java, if Spark does not start, or if others gave the session another version of the
    code.
    """
    if remote := os.environ.get("SPARK_REMOTE"):
        session = join_session(remote)
        hand_over_code(session)
        return session
    os.environ.update(worker_environment(master))
    builder = SparkSession.builder
    for key, value in make_settings(master).items():
        builder = builder.config(key, value)
    with jvm_talk_to(Path(os.devnull)):
        session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    if not is_local(master):
        session.sparkContext.addPyFile(str(pack_code()))
    return session


def join_session(remote: str) -> SparkSession:
    """A session on a server. If the address names one that others share, stopping it here leaves it to them."""
    session = SparkSession.builder.remote(remote).getOrCreate()
    session.release_session_on_close = SHARED not in remote
    return session


def hand_over_code(session: SparkSession) -> None:
    """Give a session the project's code, which it takes once. One on the machine that began it knows it already."""
    known = session.conf.get(CODE, None)
    if known is None:
        session.addArtifacts(str(pack_code()), pyfile=True)
        session.conf.set(CODE, hash_code())
    elif known != hash_code():
        raise ResourceError(
            "The files in pipeline/ have changed since this Spark session began, and it would go on with the old ones. "
            "Run again; where SPARK_REMOTE names a session_id, give another one."
        )


def is_local(master: str) -> bool:
    return master.startswith("local")


def make_settings(master: str) -> dict[str, str]:
    """All settings of a Spark on `master`."""
    here = {CODE: hash_code()} if is_local(master) else {}
    tuning = {f"spark.executorEnv.{name}": value for name, value in MEMORY_STAYS.items()}
    return SETTINGS | tuning | here | {"spark.master": allow_retries(master)}


@cache
def pack_code() -> Path:
    """A zip of the package `pipeline` for the tasks of a Spark on other machines; it lasts as long as this process."""
    folder = Path(tempfile.mkdtemp(prefix="market-code-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(shutil.make_archive(str(folder / "pipeline"), "zip", ROOT, "pipeline"))


def allow_retries(master: str) -> str:
    """A local master that gives a failed task three more attempts, as a cluster does."""
    local = re.fullmatch(r"local(?:\[(\*|\d+)\])?", master)
    return f"local[{local[1] or 1},4]" if local else master


def worker_environment(master: str) -> dict[str, str]:
    """What Spark's processes need: Java, this Python, the project on its path, and on one machine no look at the
    network's names.
    """
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {
        "JAVA_HOME": str(find_java()),
        "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_DRIVER_PYTHON": sys.executable,
        "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths)),
        **MEMORY_STAYS,
        **({"SPARK_LOCAL_IP": os.environ.get("SPARK_LOCAL_IP", "127.0.0.1")} if is_local(master) else {}),
    }


@contextmanager
def jvm_talk_to(log: Path) -> Iterator[None]:
    """Have a process that is started in the block write its standard error to `log`: a notebook would store it as
    output.
    """
    before = os.dup(2)
    with log.open("ab") as file:
        os.dup2(file.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(before, 2)
        os.close(before)


@contextmanager
def connect_server(master: str, log: Path) -> Iterator[str]:
    """Run a Spark Connect server on loopback for the length of the block. Yields its address, with a session for all
    who use it: the Python workers of a session serve no other.

    It ends with this process, even if that is killed. Raises ResourceError, with the end of `log`, if it does not
    start.
    """
    import pyspark

    home = Path(pyspark.__file__).parent
    port = find_port()
    settings = make_settings(master) | {
        "spark.connect.grpc.binding.address": "127.0.0.1",
        "spark.connect.grpc.binding.port": str(port),
    }
    command = [str(home / "bin" / "spark-submit"), "--class", "org.apache.spark.sql.connect.service.SparkConnectServer"]
    for key, value in settings.items():
        command += ["--conf", f"{key}={value}"]
    environment = {**os.environ, **worker_environment(master), "SPARK_HOME": str(home)}
    environment.pop("SPARK_REMOTE", None)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        server = subprocess.Popen(
            [*command, "spark-internal"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    guard = subprocess.Popen(["sh", "-c", GUARD, str(server.pid)], stdin=subprocess.PIPE, start_new_session=True)
    try:
        wait_for_port(server, port, log)
        yield f"sc://127.0.0.1:{port}/;{SHARED}={uuid.uuid4()}"
    finally:
        guard.stdin.close()
        server.wait()
        # The guard waits before its last resort; with the server gone there is nothing left to do.
        with suppress(ProcessLookupError):
            os.killpg(guard.pid, signal.SIGTERM)  # its sleep too
        guard.wait()


def start_warm_up(address: str) -> subprocess.Popen:
    """Have a server start its Python workers before the first notebook asks for them: pandas takes seconds to import.

    In a process of its own, which can be ended: the client of a server that is gone tries for minutes to reach it.
    """
    code = f"from pipeline.spark.session import warm_up; warm_up({address!r})"
    silent = subprocess.DEVNULL  # whatever is wrong with the server, the first notebook says it better
    return subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdin=silent, stdout=silent, stderr=silent)


def warm_up(address: str) -> None:
    session = join_session(address)
    session.range(0, 64, 1, 64).mapInArrow(lambda batches: batches, "id bigint").count()
    session.stop()


def find_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for_port(server: subprocess.Popen, port: int, log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline:
        if server.poll() is not None:
            break
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.1)
    tail = log.read_text(errors="replace").strip()[-1500:]
    raise ResourceError(f"Spark did not start (exit code {server.poll()}). The end of {log}:\n{tail}")
