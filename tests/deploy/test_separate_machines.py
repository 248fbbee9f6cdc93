"""A cluster whose machines share nothing: two workers in namespaces of their own, of network and files, and a store.

Neither worker sees the driver's folders: the project, the run folder, the folder for temporary files are empty there.
"""

import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pyspark
import pytest

from pipeline.datasets.places import open_place
from pipeline.datasets.run_folder import RunFolder
from pipeline.ingest.source import SAMPLE
from pipeline.spark.java import find_java
from tests.deploy.test_spark import CLEAN, ROOT, STAGES, find_port, wait_for
from tests.storage.stores import BUCKET, start_s3

NETWORK = "10.199.47"  # of a bridge of this test's own
FILES = 120
# What a worker's machine has of this one: programs and libraries. Ours and all temporary files are not there.
# $1 and $2: the folders of Python and Java, $3 and $4: those that are hidden.
ALONE = """
set -e
mount -t tmpfs tmpfs /mnt
for kept in "$1" "$2"; do
    mkdir -p "/mnt$kept"
    mount --bind "$kept" "/mnt$kept"
done
for hidden in "$3" "$4" /tmp; do mount -t tmpfs tmpfs "$hidden"; done
for kept in "$1" "$2"; do
    mkdir -p "$kept"
    mount --bind "/mnt$kept" "$kept"
done
shift 4
exec "$@"
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("ip"), reason="namespaces need root and iproute2"),
]


def call(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


@dataclass
class Cluster:
    """A master on this machine's side of the bridge, and workers on machines of their own."""

    address: str
    settings: dict[str, str]
    workers: list[subprocess.Popen] = field(default_factory=list)

    def kill_worker(self) -> None:
        family = psutil.Process(self.workers[0].pid).children(recursive=True)
        for process in (*family, self.workers[0]):
            process.kill()


@contextmanager
def open_network(tag: str) -> Iterator[list[str]]:
    """A bridge with two machines on it. Yields the names of their network namespaces."""
    bridge, machines = f"mk{tag}", [f"mk{tag}w{number}" for number in (1, 2)]
    call("ip", "link", "add", bridge, "type", "bridge")
    try:
        call("ip", "addr", "add", f"{NETWORK}.1/24", "dev", bridge)
        call("ip", "link", "set", bridge, "up")
        for number, machine in enumerate(machines, 2):
            call("ip", "netns", "add", machine)
            call("ip", "link", "add", machine, "type", "veth", "peer", "name", "eth0", "netns", machine)
            call("ip", "link", "set", machine, "master", bridge, "up")
            for command in (
                ("addr", "add", f"{NETWORK}.{number}/24", "dev", "eth0"),
                ("link", "set", "eth0", "up"),
                ("link", "set", "lo", "up"),
            ):
                call("ip", "-n", machine, *command)
        yield machines
    finally:
        for machine in machines:
            subprocess.run(["ip", "netns", "del", machine], capture_output=True)
        subprocess.run(["ip", "link", "del", bridge], capture_output=True)


@pytest.fixture(scope="module")
def store():
    with start_s3("0.0.0.0") as started:
        port = started.variables["AWS_ENDPOINT_URL"].rpartition(":")[2]
        yield started.variables | {"AWS_ENDPOINT_URL": f"http://{NETWORK}.1:{port}"}


@pytest.fixture
def cluster(store, tmp_path, monkeypatch) -> Iterator[Cluster]:
    for name, value in store.items():
        monkeypatch.setenv(name, value)
    port, home = find_port(), Path(pyspark.__file__).parent
    program = str(home / "bin" / "spark-class")
    java = str(find_java())
    settings = CLEAN | store | {"SPARK_HOME": str(home), "JAVA_HOME": java, "PYSPARK_PYTHON": sys.executable}
    master_log = tmp_path / "master.log"
    with ExitStack() as stack:
        machines = stack.enter_context(open_network(secrets.token_hex(2)))

        def start(log: Path, *command: str, **variables: str) -> subprocess.Popen:
            with log.open("w") as output:
                process = subprocess.Popen(command, cwd="/", env=settings | variables, stdout=output, stderr=output)
            stack.callback(end, process)
            return process

        master = ("org.apache.spark.deploy.master.Master", "--host", f"{NETWORK}.1", "--port", str(port))
        start(master_log, program, *master, "--webui-port", "0", SPARK_LOCAL_IP=f"{NETWORK}.1")
        wait_for(lambda: "I have been elected leader" in master_log.read_text())
        cluster = Cluster(f"spark://{NETWORK}.1:{port}", settings | {"SPARK_LOCAL_IP": f"{NETWORK}.1"})
        for number, machine in enumerate(machines, 2):
            worker = ["org.apache.spark.deploy.worker.Worker", "--host", f"{NETWORK}.{number}", "--webui-port", "0"]
            worker += ["--cores", "1", "--memory", "3g", "--work-dir", "/tmp/work", cluster.address]
            folders = [sys.prefix, java, str(ROOT), str(tmp_path)]
            alone = ["ip", "netns", "exec", machine, "unshare", "--mount", "sh", "-c", ALONE, "sh", *folders]
            log = tmp_path.with_name(f"{tmp_path.name}-worker-{number}.log")
            cluster.workers.append(start(log, *alone, program, *worker, SPARK_LOCAL_IP=f"{NETWORK}.{number}"))
        wait_for(lambda: master_log.read_text().count("Registering worker") == 2)
        yield cluster


def end(process: subprocess.Popen) -> None:
    children = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    for one in (*children, process):
        one.kill()
    process.wait()


def upload(files: list[Path], root: Path, url: str) -> str:
    for path in files:
        (open_place(url) / path.relative_to(root).as_posix()).write_bytes(path.read_bytes())
    return url


def read_checksums(run_dir: str | Path) -> dict[str, list[str]]:
    """SHA-256 of the parts, in order, and the version's id."""
    current = RunFolder(run_dir).list_current()
    versions = {name: current[name] for name in ("prices", "features", "model") if name in current}
    return {name: [v.id, *(file["sha256"] for file in v.manifest["files"])] for name, v in versions.items()}


def run_demo(run_dir: str | Path, data: str | Path, environment: dict[str, str], master: str) -> None:
    options = ["-p", "SOURCE", "folder", "-p", "DATA_DIR", data, "-p", "SPARK_MASTER", master]
    few = ["-p", "MODELS", "naive,linear,grid", "-p", "NEXT_DAY", "false"]
    command = [sys.executable, "run_all.py", "--quiet", "--run-dir", run_dir, *options, *few]
    done = subprocess.run([*map(str, command)], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr


def test_notebooks_run_on_machines_that_share_nothing(cluster, tmp_path):
    data = upload([path for path in SAMPLE.rglob("*") if path.is_file()], SAMPLE, f"s3://{BUCKET}/demo/data")
    run_demo(f"s3://{BUCKET}/demo/run", data, cluster.settings, cluster.address)
    run_demo(tmp_path / "here", SAMPLE, CLEAN, "local[2]")
    assert read_checksums(f"s3://{BUCKET}/demo/run") == read_checksums(tmp_path / "here")


def begin_stages(
    folder: Path, master: str, data: object, run_dir: object, settings: dict[str, str]
) -> subprocess.Popen:
    """Make prices and features of the data, in many small parts."""
    script = folder / "stages.py"
    script.write_text(STAGES)
    command = [sys.executable, script, master, data, run_dir]
    environment = settings | {"PYTHONPATH": str(ROOT), "TQDM_DISABLE": "1"}
    return subprocess.Popen([str(one) for one in command], env=environment, stderr=subprocess.PIPE, text=True)


@pytest.fixture(scope="module")
def some_files(market_sample) -> list[Path]:
    stocks = sorted((market_sample / "stocks").glob("*.csv"))[:FILES]
    return [*stocks, market_sample / "symbols_valid_meta.csv"]


def test_a_machine_that_dies_costs_no_data(cluster, some_files, market_sample, tmp_path):
    """120 real files: one of the two machines is gone while it writes."""
    data = upload(some_files, market_sample, f"s3://{BUCKET}/real/data")
    run = RunFolder(f"s3://{BUCKET}/real/run")
    with begin_stages(tmp_path, cluster.address, data, run, cluster.settings) as disturbed:
        home = run.path / "prices"
        wait_for(lambda: len([1 for path, _ in home.walk() if path.name.endswith(".parquet")]) >= 4 or disturbed.poll())
        assert disturbed.poll() is None, disturbed.stderr.read()[-3000:]
        cluster.kill_worker()
        assert disturbed.wait() == 0, disturbed.stderr.read()[-3000:]

    here = tmp_path / "data"
    for path in some_files:
        (here / path.relative_to(market_sample)).parent.mkdir(parents=True, exist_ok=True)
        (here / path.relative_to(market_sample)).symlink_to(path)
    with begin_stages(tmp_path, "local[2]", here, tmp_path / "run", CLEAN) as undisturbed:
        assert undisturbed.wait() == 0, undisturbed.stderr.read()[-3000:]
    assert read_checksums(str(run)) == read_checksums(tmp_path / "run")
