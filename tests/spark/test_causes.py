"""A Spark that does not start, or that has ended, says why and what to do in one line."""

import os
import signal
import socket
import subprocess
import sys

import pytest

from pipeline.environment import ROOT
from pipeline.errors import ParameterError, ResourceError
from pipeline.spark import server
from pipeline.spark.causes import find_cause
from pipeline.spark.server import SparkServer, connect_server
from pipeline.spark.session import join_session

# The lines around what matters, as Java 17 and 8 and Spark 4.3 write them.
NOISE = """WARNING: Using incubator modules: jdk.incubator.vector
26/11/25 12:59:01 WARN NativeCodeLoader: Unable to load native-hadoop library for your platform: Permission denied
26/11/25 12:59:02 INFO SparkContext: OutOfMemoryError is not what happened
{line}
\tat org.apache.spark.deploy.SparkSubmit.UnknownHostException(SparkSubmit.scala:1180)
\t... 12 more
"""


@pytest.mark.parametrize(
    ("line", "said", "remedy"),
    [
        (
            'Exception in thread "main" java.lang.UnsupportedClassVersionError: org/apache/spark/Main has been '
            "compiled by a more recent version of the Java Runtime (class file version 61.0)",
            "java.lang.UnsupportedClassVersionError: org/apache/spark/Main",
            "JAVA_HOME",
        ),
        (
            "26/11/25 12:59:13 ERROR SparkConnectServer: Error starting Spark Connect server\n"
            "java.net.BindException: Failed to bind to address /127.0.0.1:15099",
            "java.net.BindException: Failed to bind to address /127.0.0.1:15099",
            "SPARK_LOCAL_IP",
        ),
        (
            "Error occurred during initialization of VM\n"
            "Could not reserve enough space for 943718400KB object heap\n"
            "/x/bin/spark-class: line 97: CMD: bad array subscript",
            "Could not reserve enough space for 943718400KB object heap",
            "memory",
        ),
        (
            "org.apache.spark.SparkIllegalArgumentException: [INVALID_DRIVER_MEMORY.SYSTEM_MEMORY] Insufficient driver "
            "memory: System memory 67108864 must be at least 471859200.",
            "must be at least 471859200. ",
            "_JAVA_OPTIONS",
        ),
        ("Caused by: java.lang.ClassNotFoundException: org.x.Y", "java.lang.ClassNotFoundException: org.x.Y", "pip"),
        ("java.net.UnknownHostException: nowhere: Name or service not known", "nowhere: Name", "SPARK_MASTER"),
        ("java.io.IOException: Invalid UID, could not determine effective user", "Invalid UID", "/etc/passwd"),
        ("java.io.IOException: No space left on device", "No space left on device", "TMPDIR"),
        ("/x/bin/spark-class: line 71: /gone/bin/java: No such file or directory", "/gone/bin/java", "folder"),
        (
            "26/11/25 12:59:13 ERROR X: broken\nCaused by: a.NewKindException: it is new",
            "a.NewKindException: it is",
            "",
        ),
        ("Something that nobody has seen", "Something that nobody has seen.", ""),
    ],
)
def test_the_line_that_says_why_is_found(line, said, remedy):
    found = find_cause(NOISE.format(line=line))
    assert said in found
    assert remedy in found
    assert "\n" not in found
    assert len(found) < 500


def test_a_log_without_a_word_is_told():
    assert find_cause("") == "it said nothing."


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("JAVA_TOOL_OPTIONS", "-XX:NoSuchThing", "Unrecognized VM option 'NoSuchThing'"),
        ("_JAVA_OPTIONS", "-Xmx6m", "java.lang.OutOfMemoryError"),
    ],
)
def test_a_server_that_does_not_start_says_why(tmp_path, monkeypatch, name, value, said):
    monkeypatch.setenv(name, value)
    with pytest.raises(ResourceError) as refused, connect_server("local[1]", tmp_path / "spark.log"):
        pass
    told = str(refused.value)
    assert told.startswith(f"Spark did not start: {said}")
    assert name in told
    assert str(tmp_path / "spark.log") in told
    assert "\n" not in told


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"JAVA_TOOL_OPTIONS": "-XX:NoSuchThing"}, "Unrecognized VM option"),  # Java itself does not start
        pytest.param({"_JAVA_OPTIONS": "-Xmx64m"}, "must be at least", marks=pytest.mark.slow),  # Spark in it does not
    ],
)
def test_a_spark_in_a_notebook_that_does_not_start_says_why(options, said):
    code = "from pipeline.spark.session import open_spark; open_spark('local[1]')"
    shell = {name: value for name, value in os.environ.items() if name != "SPARK_REMOTE"}
    shell |= {"SPARK_HOME": "/gone", "PYSPARK_SUBMIT_ARGS": "--master local[2]"} | options
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=shell, capture_output=True, text=True)
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("pipeline.errors.ResourceError: Spark did not start: ")
    assert said in last
    assert all(name in last for name in options)
    assert "During handling" not in done.stderr


@pytest.mark.slow
def test_a_port_that_was_taken_meanwhile_is_told(tmp_path, monkeypatch):
    """Between looking for a free port and Java's binding to it another program may take it."""
    explain = server.wait_for_port

    def wait(started, port):
        started.process.wait(60)
        explain(started, port)

    with socket.create_server(("127.0.0.1", 0)) as other:
        monkeypatch.setattr(server, "find_port", lambda: other.getsockname()[1])
        monkeypatch.setattr(server, "wait_for_port", wait)
        with pytest.raises(ResourceError, match="BindException"), connect_server("local[1]", tmp_path / "spark.log"):
            pass


@pytest.mark.slow
def test_a_cluster_that_is_not_there_is_told(tmp_path):
    with pytest.raises(ResourceError, match="SPARK_MASTER"), connect_server("spark://127.0.0.1:9", tmp_path / "log"):
        pass


@pytest.mark.parametrize(
    ("number", "log", "words"),
    [
        (signal.SIGTERM, "26/11/25 ERROR TaskSetManager: lost", "was ended by SIGTERM. What it said last is in "),
        (signal.SIGKILL, "java.lang.OutOfMemoryError: Java heap space", "Java heap space. Run again with fewer cores"),
    ],
)
def test_a_server_that_has_ended_says_why(tmp_path, number, log, words):
    (tmp_path / "spark.log").write_text(f"{log}\n")
    with subprocess.Popen(["sleep", "60"]) as process:
        started = SparkServer(9, "sc://127.0.0.1:9", process, tmp_path / "spark.log", 0)
        assert started.describe_end() is None
        process.send_signal(number)
        process.wait()
        assert words in started.describe_end()


@pytest.mark.parametrize(
    ("address", "kind", "words"),
    [
        ("sc://127.0.0.1:9/;token=tokenzebra", ResourceError, "No Spark answers at 127.0.0.1:9"),
        ("http://127.0.0.1:9", ParameterError, "sc://host:15002"),
        ("sc://host:port", ParameterError, "sc://host:15002"),
        ("", ParameterError, "sc://host:15002"),
    ],
)
def test_an_address_without_a_spark_is_told(address, kind, words):
    with pytest.raises(kind, match=words) as refused:
        join_session(address)
    assert "zebra" not in str(refused.value)
