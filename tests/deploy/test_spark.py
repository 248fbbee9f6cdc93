"""A real standalone cluster, and a Connect server that knows nothing of the project."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pyspark
import pytest

from pipeline.spark.java import find_java

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith(("SPARK_", "PYTHONPATH"))}

# Ingest and features in many small parts, so that a worker can die between two of them.
STAGES = """
import sys
from pathlib import Path
from pipeline.ingest.parts import plan_parts
from pipeline.ingest.prices import write_prices
from pipeline.ingest.publish import publish_ingested
from pipeline.datasets.contract import FEATURES
from pipeline.features.write import write_features
from pipeline.ingest.source import open_source
from pipeline.spark.session import open_spark
from pipeline.datasets.run_folder import RunFolder

if __name__ == "__main__":
    master, data, run = sys.argv[1:]
    plan_parts.__defaults__ = (3 * 2**20,)
    spark = open_spark(master)
    drafts = [RunFolder(run).open_draft(name) for name in ("prices", "symbols", "quarantine")]
    ingested = write_prices(spark, open_source("folder", data), drafts[0], drafts[2])
    prices = publish_ingested(ingested, *drafts, {})["prices"]
    draft = RunFolder(run).open_draft("features")
    parts = write_features(spark, prices, draft, 30, "rows")
    draft.publish(parts, schema=FEATURES, parameters={}, inputs={"prices": prices.id})
    spark.stop()
"""


def find_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(condition, seconds: int = 300):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)
    return found


@pytest.fixture
def cluster(tmp_path):
    """The address of a cluster of two workers, and the folder of its logs."""
    port, logs = find_port(), tmp_path / "cluster"
    settings = {"SPARK_MASTER_PORT": str(port), "PYSPARK_PYTHON": sys.executable}
    with subprocess.Popen(
        [ROOT / "deploy/spark/cluster.sh", logs], env=CLEAN | settings, start_new_session=True
    ) as run:
        master = logs / "master.log"
        wait_for(lambda: master.exists() and master.read_text().count("Registering worker") == 2)
        yield f"spark://127.0.0.1:{port}", logs
        children = psutil.Process(run.pid).children(recursive=True)
        run.send_signal(signal.SIGTERM)
    psutil.wait_procs(children, timeout=20)


def run_notebooks(folder: Path, *arguments, **settings) -> dict[str, list[str]]:
    """Run run_all.py on the demo. Returns the checksums of the files of each dataset."""
    few = ["-p", "MODELS", "naive,linear,grid", "-p", "NEXT_DAY", "false"]
    command = [sys.executable, "run_all.py", "--run-dir", str(folder), "--quiet", *few, *arguments]
    done = subprocess.run(command, cwd=ROOT, env=CLEAN | settings, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return read_checksums(folder)


def read_checksums(run: Path) -> dict[str, list[str]]:
    """SHA-256 of the published files of prices and features."""
    found = {}
    for dataset in ("prices", "features"):
        version = run / dataset / (run / dataset / "CURRENT").read_text().strip()
        found[dataset] = [file["sha256"] for file in json.loads((version / "manifest.json").read_text())["files"]]
    return found


@pytest.fixture(scope="module")
def here(tmp_path_factory) -> dict[str, list[str]]:
    """What the notebooks publish without a cluster."""
    return run_notebooks(tmp_path_factory.mktemp("here"), "--to", "features")


def test_all_notebooks_run_on_a_cluster_to_the_same_bytes(cluster, here, tmp_path):
    """One whose plain paths are those of HDFS: the run folder, which all machines see, is none of them."""
    address, logs = cluster
    hdfs = "<property><name>fs.defaultFS</name><value>hdfs://127.0.0.1:9</value></property>"
    (tmp_path / "core-site.xml").write_text(f"<configuration>{hdfs}</configuration>")
    settings = {"SPARK_LOCAL_IP": "127.0.0.1", "HADOOP_CONF_DIR": str(tmp_path)}
    there = run_notebooks(tmp_path / "there", "-p", "SPARK_MASTER", address, **settings)
    assert there == here
    assert list(logs.glob("work-1/app-*")) and list(logs.glob("work-2/app-*"))  # both took part


def test_all_notebooks_run_on_a_connect_server_that_others_started(here, tmp_path):
    with start_connect_server(tmp_path) as address:
        assert run_notebooks(tmp_path / "there", SPARK_REMOTE=address) == here


@contextmanager
def start_connect_server(folder: Path, **settings: str) -> Iterator[str]:
    """Spark's own server, as somebody else starts it. Yields its address."""
    port = find_port()
    home = Path(pyspark.__file__).parent
    options = ["--conf", f"spark.connect.grpc.binding.port={port}", "--conf", "spark.master=local[2]"]
    command = [home / "bin/spark-submit", "--class", "org.apache.spark.sql.connect.service.SparkConnectServer"]
    environment = CLEAN | {"JAVA_HOME": str(find_java()), "PYSPARK_PYTHON": sys.executable}
    environment |= {"SPARK_HOME": str(home), "SPARK_LOCAL_IP": "127.0.0.1"} | settings
    path = folder / "server.log"
    with (
        path.open("w") as log,
        subprocess.Popen([*command, *options, "spark-internal"], env=environment, stdout=log, stderr=log) as server,
    ):
        try:
            wait_for(lambda: "Spark Connect server started" in path.read_text())
            yield f"sc://127.0.0.1:{port}"
        finally:
            server.terminate()


def start_stages(folder: Path, master: str, data: Path, **settings: str) -> subprocess.Popen:
    """Make prices and features of the data in a folder."""
    script = folder / "stages.py"
    script.write_text(STAGES)
    command = [sys.executable, script, master, data, folder]
    environment = CLEAN | settings | {"PYTHONPATH": str(ROOT), "TQDM_DISABLE": "1"}
    return subprocess.Popen([str(one) for one in command], env=environment, stderr=subprocess.PIPE, text=True)


@pytest.fixture(scope="module")
def undisturbed(market_sample, tmp_path_factory) -> dict[str, list[str]]:
    """The checksums of what one machine makes of the market sample."""
    folder = tmp_path_factory.mktemp("undisturbed")
    with start_stages(folder, "local[2]", market_sample) as stages:
        assert stages.wait() == 0, stages.stderr.read()[-3000:]
    return read_checksums(folder)


@pytest.mark.parametrize("dataset", ["prices", "features"])
def test_a_worker_that_dies_costs_no_data(cluster, market_sample, undisturbed, tmp_path, dataset):
    """Kill one of the two machines while it writes the dataset: the other does its tasks again."""
    address, _ = cluster
    with start_stages(tmp_path, address, market_sample, SPARK_LOCAL_IP="127.0.0.1") as disturbed:
        attempts = tmp_path / dataset
        wait_for(lambda: len(list(attempts.glob("*/.attempt-*"))) >= 4 or disturbed.poll() is not None)
        assert disturbed.poll() is None, disturbed.stderr.read()[-3000:]
        (worker,) = (one for one in psutil.process_iter(["cmdline"]) if is_worker(one, address, "work-1"))
        for process in (*worker.children(recursive=True), worker):
            process.kill()
        assert disturbed.wait() == 0, disturbed.stderr.read()[-3000:]
    assert read_checksums(tmp_path) == undisturbed


def is_worker(process: psutil.Process, address: str, folder: str) -> bool:
    line = " ".join(process.info["cmdline"] or ())
    return "deploy.worker.Worker" in line and address in line and folder in line
