"""Whole runs from and to an object store."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from pipeline.datasets.places import Place, open_place
from pipeline.datasets.run_folder import RunFolder
from pipeline.ingest.source import SAMPLE
from tests.deploy.test_spark import start_connect_server
from tests.storage.stores import SECRET
from tests.storage.test_commands import upload

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]


def begin(run_dir: str | Path, data: str | Path, *arguments: str, **variables: str) -> subprocess.Popen:
    options = ["-p", "SPARK_MASTER", "local[2]", "-p", "SOURCE", "folder", "-p", "DATA_DIR", data, "--to", "features"]
    command = [sys.executable, "run_all.py", "--run-dir", run_dir, *options, *arguments]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SPARK_")} | variables
    return subprocess.Popen(
        [*map(str, command)], cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def end(run: subprocess.Popen) -> tuple[int, str]:
    said, _ = run.communicate(timeout=600)
    return run.returncode, said


def read_checksums(run_dir: str | Path) -> dict[str, list[str]]:
    """SHA-256 of the parts of each dataset, and the version's id."""
    run = RunFolder(run_dir)
    versions = {name: run.current(name) for name in ("prices", "symbols", "quarantine", "features")}
    return {name: [v.id, *(f["sha256"] for f in v.manifest["files"])] for name, v in versions.items()}


@pytest.fixture(scope="module")
def expected(tmp_path_factory) -> dict[str, list[str]]:
    """What a run makes of the sample in a folder."""
    folder = tmp_path_factory.mktemp("folder")
    code, said = end(begin(folder, SAMPLE))
    assert code == 0, said
    return read_checksums(folder)


def find_secret(place: Place) -> list[str]:
    """The objects that hold the secret."""
    return [str(path) for path, _ in place.walk() if SECRET.encode() in path.read_bytes()]


class Watch(threading.Thread):
    """Looks at the command lines of all processes for as long as it is not stopped."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.seen: list[str] = []
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.wait(0.2):
            lines = (" ".join(one.info["cmdline"] or ()) for one in psutil.process_iter(["cmdline"]))
            self.seen += [line for line in lines if SECRET in line]


def test_a_run_from_and_to_a_store_makes_the_same_bytes_and_tells_no_secret(url, expected):
    upload(SAMPLE, f"{url}/data")
    watch = Watch()
    watch.start()
    code, said = end(begin(f"{url}/run", f"{url}/data"))
    watch.over.set()
    watch.join()
    assert code == 0, said
    assert read_checksums(f"{url}/run") == expected
    run = RunFolder(f"{url}/run")
    (records,) = (run.path / "runs").iterdir()
    assert f"{records}/report.html" in said
    names = {path.name for path in records.iterdir()}
    assert names >= {"01_ingest.ipynb", "02_features.ipynb", "run.json", "report.html", "run.log", "spark.log"}
    assert json.loads((records / "run.json").read_bytes())["exit_code"] == 0
    assert SECRET not in said and watch.seen == [] and find_secret(run.path) == []
    assert not list(run.publishing.here.glob("runs/*")) and not list(run.publishing.here.glob("draft-*"))

    code, said = end(begin(f"{url}/run", f"{url}/data"))
    assert code == 0 and said.count("cached") == 2, said

    first = open_place(f"{url}/data/stocks") / "AAPL.csv"
    first.write_bytes(b"Date,Open,High,Low,Close,Adj Close,Volume\n" + b"x,1,1,1,1,1,1\n" * 20_000)
    code, said = end(begin(f"{url}/run", f"{url}/data"))
    assert code == 4, said
    assert read_checksums(f"{url}/run") == expected, "the old version stays current"
    last = max((run.path / "runs").iterdir(), key=lambda path: path.name)
    assert json.loads((last / "run.json").read_bytes())["exit_code"] == 4
    assert (last / "01_ingest.ipynb").exists() and find_secret(run.path) == []


def test_a_killed_run_leaves_garbage_only_and_the_next_one_ends_in_the_same_bytes(url, expected):
    upload(SAMPLE, f"{url}/data")
    killed = begin(f"{url}/run", f"{url}/data")
    home = RunFolder(f"{url}/run").path / "prices"
    deadline = time.monotonic() + 300
    while not any(path.name.endswith(".parquet") for path, _ in home.walk()):  # a task has written
        assert killed.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    killed.send_signal(signal.SIGKILL)
    end(killed)
    code, said = end(begin(f"{url}/run", f"{url}/data", "-p", "LEFTOVER_HOURS", "0"))
    assert code == 0, said
    assert read_checksums(f"{url}/run") == expected
    for dataset in ("prices", "symbols", "quarantine", "features"):
        folders = [path for path in (RunFolder(f"{url}/run").path / dataset).iterdir() if path.is_dir()]
        assert len(folders) == 1, folders
    assert len(list((RunFolder(f"{url}/run").path / "runs").iterdir())) == 2  # the killed one's records as well


def test_two_machines_that_run_at_once_mix_nothing(url, expected, tmp_path):
    upload(SAMPLE, f"{url}/data")
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    runs = [begin(f"{url}/run", f"{url}/data", TMPDIR=str(tmp_path / name)) for name in ("one", "other")]
    ends = [end(run) for run in runs]
    assert sorted(code for code, _ in ends) == [0, 6], ends
    (told,) = (said for code, said in ends if code == 6)
    assert "Somebody else has published" in told
    assert read_checksums(f"{url}/run") == expected


def test_a_connect_server_of_others_reads_and_writes_the_store(url, variables, expected, tmp_path):
    """Its tasks have the client and the credentials of their own machine; all four notebooks ask it."""
    upload(SAMPLE, f"{url}/data")
    few = ["-p", "MODELS", "naive,linear,grid", "-p", "NEXT_DAY", "false", "--to", "serve"]
    with start_connect_server(tmp_path, **variables) as address:
        code, said = end(begin(f"{url}/run", f"{url}/data", *few, SPARK_REMOTE=address))
    assert code == 0, said
    assert read_checksums(f"{url}/run") == expected
    assert RunFolder(f"{url}/run").current("model").manifest["model"]
