"""A Spark session for a notebook.

With SPARK_REMOTE set, a notebook is a client of that Spark Connect server. Without it, it starts a Spark of its own
on SPARK_MASTER: this machine's cores, or a cluster that sees the same folders. What follows uses only what all can do:
DataFrames, mapInArrow and pyspark.ml.
"""

import atexit
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from pyspark.sql import SparkSession

from pipeline import environment
from pipeline.datasets.files import hash_code
from pipeline.errors import ParameterError, ResourceError
from pipeline.spark.causes import find_cause
from pipeline.spark.java import find_java
from pipeline.spark.server import SHARED, find_spark
from pipeline.spark.settings import CODE, is_local, make_settings

DEFAULT_PORT = 15002  # where an address of Spark Connect names none


def open_spark(master: str) -> SparkSession:
    """A session on the server that SPARK_REMOTE names, else on a Spark of this process's own at `master`.

    Raises ResourceError without Java, if Spark does not start or answer, or if others gave the session another version
    of the code.
    """
    if remote := os.environ.get("SPARK_REMOTE"):
        session = join_session(remote)
        hand_over_code(session)
        return session
    session = start_spark(master)
    session.sparkContext.setLogLevel("ERROR")
    if not is_local(master):
        session.sparkContext.addPyFile(str(pack_code()))
    return session


def start_spark(master: str) -> SparkSession:
    """A Spark in a JVM of this process's own."""
    environment.take_on(environment.make_spark_environment(find_java(), find_spark(), is_local(master)))
    builder = SparkSession.builder
    for key, value in make_settings(master).items():
        builder = builder.config(key, value)
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "spark.log"
        try:
            with jvm_talk_to(log):
                return builder.getOrCreate()
        except Exception as error:  # of Python's, of the bridge to Java, or of Java: whatever it is, there is no Spark
            said = log.read_text(errors="replace")
            raise ResourceError(f"Spark did not start: {find_cause(f'{said}{os.linesep}{error}')}") from None


def join_session(remote: str) -> SparkSession:
    """A session on a server. If the address names one that others share, stopping it here leaves it to them."""
    environment.take_on(environment.make_client_environment())
    if is_refused(remote):
        raise ResourceError(f"No Spark answers at {name_server(remote)}: start it, or unset SPARK_REMOTE.")
    from pyspark.sql.connect.session import SparkSession as ConnectSession

    session = SparkSession.builder.remote(remote).getOrCreate()
    if isinstance(session, ConnectSession):
        session.release_session_on_close = SHARED not in remote
    return session


def name_server(remote: str) -> str:
    """Host and port of an address like sc://host:15002/;token=..., which may hold a secret."""
    host, port = split_address(remote)
    return f"{host}:{port}"


def split_address(remote: str) -> tuple[str, int]:
    try:
        place = urlsplit(remote)
        if place.scheme == "sc" and place.hostname:
            return place.hostname, place.port or DEFAULT_PORT
    except ValueError:  # a port that is none
        pass
    raise ParameterError("SPARK_REMOTE must be the address of a Spark Connect server, like sc://host:15002, or unset.")


def is_refused(remote: str) -> bool:
    """Whether nobody listens at an address: its client would go on asking for minutes."""
    try:
        socket.create_connection(split_address(remote), timeout=1).close()
    except ConnectionRefusedError:
        return True
    except OSError:  # slow is not gone, and a proxy may know a host that is not known here
        return False
    return False


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


@cache
def pack_code() -> Path:
    """A zip of the package `pipeline` for the tasks of a Spark on other machines; it lasts as long as this process."""
    folder = Path(tempfile.mkdtemp(prefix="market-code-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(shutil.make_archive(str(folder / "pipeline"), "zip", environment.ROOT, "pipeline"))


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


def begin_warm_up(address: str) -> subprocess.Popen[bytes]:
    """Have a server start its Python workers, and load what answers a question, before the first notebook asks: either
    takes seconds. It waits for a line on its standard input, which says that the server listens.

    In a process of its own, which can be ended: the client of a server that is gone tries for minutes to reach it.
    """
    code = "import pyspark.sql.connect.session; from pipeline.spark.session import warm_up; "
    code += f"input(); warm_up({address!r})"
    silent = subprocess.DEVNULL  # whatever is wrong with the server, the first notebook says it better
    return subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=environment.ROOT,
        env=environment.make_python_environment(),
        stdin=subprocess.PIPE,
        stdout=silent,
        stderr=silent,
    )


def go_on(warming: subprocess.Popen[bytes]) -> None:
    """Tell who warms a server up that it listens."""
    if warming.stdin:
        with suppress(OSError):  # it is gone, and nobody depends on it
            warming.stdin.write(b"\n")
            warming.stdin.close()


def warm_up(address: str) -> None:
    session = join_session(address)
    session.range(0, 64, 1, 64).mapInArrow(lambda batches: batches, "id bigint").count()
    session.range(9).where("id > 1").groupBy("id").count().orderBy("id").limit(5).toPandas()
    session.stop()
