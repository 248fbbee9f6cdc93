"""What processes are told: whatever a shell holds, loopback is asked directly and Python is not steered."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline import environment
from pipeline.environment import make_kernel_environment, make_python_environment, make_spark_environment

DEAD = "http://127.0.0.1:9"  # a proxy where nobody listens
PROXIES = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "grpc_proxy"), DEAD)

# Ask a server on loopback by each of the ways that the project and its libraries have.
ASK = """
import http.server, os, socket, threading, urllib.request
import grpc, requests
from pipeline.environment import spare_loopback
os.environ.update(spare_loopback())

class Greeter(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
    def log_message(self, *_):
        pass

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Greeter)
threading.Thread(target=server.serve_forever, daemon=True).start()
port = server.server_port
for host in ("127.0.0.1", "localhost"):
    assert requests.get(f"http://{host}:{port}", timeout=5).ok
    assert urllib.request.urlopen(f"http://{host}:{port}", timeout=5).status == 200

listener = socket.create_server(("127.0.0.1", 0))
listener.settimeout(5)
channel = grpc.insecure_channel(f"127.0.0.1:{listener.getsockname()[1]}")
grpc.channel_ready_future(channel)
listener.accept()

print(requests.utils.get_environ_proxies("http://example.org").get("http"))
"""


@pytest.fixture
def shell(monkeypatch):
    """Set the variables of somebody's shell."""

    def set_all(**variables: str) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    for name in environment.DIRECTLY:
        monkeypatch.delenv(name, raising=False)
    return set_all


@pytest.mark.parametrize(
    ("spared", "outside"),
    [
        ({}, DEAD),
        ({"no_proxy": "*"}, None),
        ({"no_proxy": "", "NO_PROXY": " , ,http://odd/"}, DEAD),
        ({"no_proxy": "example.org", "NO_PROXY": "other.org", "no_grpc_proxy": "third.org"}, None),
    ],
    ids=["none", "star", "odd", "three"],
)
def test_this_machine_is_asked_without_a_proxy_and_the_world_by_it(shell, spared, outside):
    shell(**PROXIES, **spared)
    done = subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True, cwd=environment.ROOT, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(outside)


def test_where_no_proxy_is_set_nothing_is_said_of_proxies(shell, monkeypatch):
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    assert environment.spare_loopback() == {}


def test_python_is_not_steered(shell):
    shell(PYTHONOPTIMIZE="2", PYTHONSAFEPATH="1", PYTHONWARNINGS="error", PYTHONSTARTUP="/gone", PYTHONHASHSEED="7")
    kept = {name: value for name, value in make_python_environment().items() if name.startswith("PYTHON")}
    assert kept.keys() == {"PYTHONPATH", "PYTHONUTF8", "PYTHONHASHSEED"} | (kept.keys() & set(environment.PYTHON_STAYS))
    assert kept["PYTHONPATH"] == str(environment.ROOT)


@pytest.mark.parametrize("module", ["types.py", "pipeline/__init__.py", "numpy/__init__.py", "serving/app.py"])
def test_modules_of_others_hide_none_of_ours(shell, tmp_path, module):
    for folder, name in (("theirs", module), ("library", "only_there/__init__.py"), ("data", "stocks/A.csv")):
        path = tmp_path / folder / name
        path.parent.mkdir(parents=True)
        path.touch()
    (tmp_path / "theirs" / module).write_text("raise ImportError('not the one that was meant')")
    shell(PYTHONPATH=os.pathsep.join(str(tmp_path / one) for one in ("theirs", "library", "gone", "data")))
    given = make_python_environment()["PYTHONPATH"].split(os.pathsep)
    assert given[0] == str(environment.ROOT)
    assert str(tmp_path / "library") in given
    check = "import types, pipeline.errors, numpy, serving.app, only_there"
    done = subprocess.run([sys.executable, "-c", check], env=make_python_environment(), cwd="/", capture_output=True)
    assert done.returncode == 0, done.stderr


CLUSTER = {
    "HADOOP_CONF_DIR": "/etc/hadoop",
    "YARN_CONF_DIR": "/etc/hadoop",
    "SPARK_CONF_DIR": "/etc/spark",
    "SPARK_LOCAL_IP": "10.0.0.7",
}


def test_a_clusters_configuration_is_for_clusters(shell):
    shell(**CLUSTER, PYSPARK_SUBMIT_ARGS="--master local[2]", SPARK_REMOTE="sc://other", SPARK_API_MODE="connect")
    here, there = (make_spark_environment(Path("/java"), Path("/spark"), local) for local in (True, False))
    assert not here.keys() & {"HADOOP_CONF_DIR", "YARN_CONF_DIR", "SPARK_CONF_DIR"}
    assert here["SPARK_LOCAL_IP"] == "127.0.0.1"
    assert CLUSTER.items() <= there.items()
    for made in (here, there):
        assert made["SPARK_HOME"] == "/spark"
        assert not made.keys() & {"PYSPARK_SUBMIT_ARGS", "SPARK_REMOTE", "SPARK_API_MODE"}


def test_the_configuration_in_a_clusters_spark_home_counts(shell, tmp_path):
    (tmp_path / "conf").mkdir()
    shell(SPARK_HOME=str(tmp_path))
    assert make_spark_environment(Path("/java"), Path("/spark"), False)["SPARK_CONF_DIR"] == str(tmp_path / "conf")
    assert "SPARK_CONF_DIR" not in make_spark_environment(Path("/java"), Path("/spark"), True)


def test_scratch_folders_are_those_that_can_be_written(shell, tmp_path):
    (tmp_path / "file").touch()
    shell(SPARK_LOCAL_DIRS=f"/gone/a, {tmp_path}, {tmp_path / 'file'},/proc")
    assert make_spark_environment(Path("/java"), Path("/spark"), True)["SPARK_LOCAL_DIRS"] == str(tmp_path)


def test_a_kernel_keeps_the_address_of_its_spark_and_nothing_else_of_a_cluster(shell, tmp_path):
    shell(**CLUSTER, SPARK_REMOTE="sc://here", HOME="/nonexistent", IPYTHONDIR="/gone", MPLBACKEND="TkAgg")
    made = make_kernel_environment(tmp_path)
    assert [name for name in made if name.startswith(environment.CLUSTER)] == ["SPARK_REMOTE"]
    assert made["HOME"] == "/nonexistent"
    for name in ("IPYTHONDIR", "MPLCONFIGDIR", "JUPYTER_RUNTIME_DIR"):
        assert Path(made[name]).parent == tmp_path
