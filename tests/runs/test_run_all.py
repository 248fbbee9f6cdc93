"""`run_all.py` as a person calls it: a real process, real notebooks, real Spark, real signals."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from pipeline.datasets.run_folder import RunFolder
from serving.bundle import load_bundle

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "notebooks" / "sample"


def run_all(*arguments, **environment) -> subprocess.CompletedProcess:
    return subprocess.run(command(*arguments), cwd=ROOT, env=own_spark(**environment), capture_output=True, text=True)


def command(*arguments) -> list[str]:
    return [sys.executable, "run_all.py", *map(str, arguments)]


def own_spark(**environment) -> dict[str, str]:
    """The environment of somebody's shell: without the test run's Spark."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SPARK_")}
    return kept | environment


def read_last_run(run_dir: Path) -> dict:
    return json.loads(max(run_dir.glob("runs/*/run.json")).read_text())


def list_states(run_dir: Path) -> dict[str, str]:
    return {stage["name"]: stage["state"] for stage in read_last_run(run_dir)["stages"]}


@pytest.fixture(scope="module")
def demo(tmp_path_factory) -> Path:
    """A run folder after the demo."""
    run_dir = tmp_path_factory.mktemp("demo")
    done = run_all("--run-dir", run_dir)
    assert done.returncode == 0, done.stderr
    return run_dir


def test_the_demo_runs_to_a_prediction(demo):
    assert set(list_states(demo).values()) == {"done"}
    assert RunFolder(demo).current("features").rows == 22_216
    assert load_bundle(demo).model.answer(12345, 25).volume > 0
    executed = {path.name for path in demo.glob("runs/*/*.ipynb")}
    assert executed == {"01_ingest.ipynb", "02_features.ipynb", "03_train.ipynb", "04_serve.ipynb"}


def test_a_second_run_runs_nothing_but_serve(demo):
    before = RunFolder(demo).current("model").path
    done = run_all("--run-dir", demo)
    assert done.returncode == 0, done.stderr
    assert "no drift since the previous model" in done.stdout
    assert "report.html" in done.stdout.splitlines()[-2]
    assert f"python -m serving --run-dir {demo}" in done.stdout.splitlines()[-1]
    assert list_states(demo) == {"ingest": "cached", "features": "cached", "train": "cached", "serve": "done"}
    assert RunFolder(demo).current("model").path == before


def test_a_dry_run_says_what_would_run_and_writes_nothing(demo, tmp_path):
    done = run_all("--run-dir", demo, "--dry-run", "-p", "WINDOW_DAYS", "20")
    assert done.returncode == 0
    lines = {line.split()[0]: line for line in done.stdout.splitlines() if line and not line.startswith(" ")}
    assert "nothing changed" in lines["ingest"]
    assert "parameters" in lines["features"]
    assert run_all("--run-dir", tmp_path / "new", "--dry-run").returncode == 0
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("name", "value", "hint"),
    [
        ("WINDOW_DAY", "20", "WINDOW_DAYS"),
        ("WINDOW_DAYS", "twenty", "a whole number from 2"),
        ("WINDOW_DAYS", "1", "from 2 to 1000"),
        ("WINDOW_RULE", "row", "did you mean rows?"),
        ("MODELS", "naive,grit", "did you mean grid?"),
        ("TEST_FROM", "2010-13-01", "YYYY-MM-DD"),
    ],
)
def test_a_wrong_parameter_ends_the_run_before_it_begins(tmp_path, name, value, hint):
    done = run_all("--run-dir", tmp_path / "run", "-p", name, value)
    assert done.returncode == 2
    assert hint in done.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("content", "arguments", "hint"),
    [
        ("WINDOW_DAY: 20\n".encode("utf-16"), [], "did you mean WINDOW_DAYS?"),
        ("WINDOW_DAYS: 20\n".encode("utf-16-le"), [], "cannot be read"),
        (b"DATA_DIR: caf\xe9\n", [], "cannot be read"),
        (b"1: 2\n", [], "NAME: value"),
        (b"RUN_DIR: 5\n", [], "RUN_DIR must be text that is not empty, not 5"),
        (b"RUN_DIR: ''\n", [], "RUN_DIR must be text that is not empty"),
        (b"", ["--run-dir", ""], "RUN_DIR must be text that is not empty"),
    ],
    ids=["UTF-16", "UTF-16 without its mark", "Latin-1", "number", "number as folder", "no folder", "no --run-dir"],
)
def test_a_wrong_file_of_parameters_ends_the_run_before_it_begins(tmp_path, content, arguments, hint):
    params = tmp_path / "mine.yaml"
    params.write_bytes(content)
    done = run_all("--params", params, *arguments, "--dry-run")
    assert done.returncode == 2, done.stdout + done.stderr
    (line,) = done.stderr.splitlines()
    assert hint in line


@pytest.mark.parametrize("made", [(), ("stocks", "etfs")], ids=["no folder", "no CSV in it"])
def test_a_folder_without_prices_is_named(tmp_path, made):
    data = tmp_path / "my prices"
    for name in made:
        (data / name).mkdir(parents=True)
    done = run_all("--run-dir", tmp_path / "run", "-p", "SOURCE", "folder", "-p", "DATA_DIR", data)
    assert done.returncode == 3
    assert str(data) in done.stderr
    assert "Traceback" not in done.stderr
    assert set(list_states(tmp_path / "run").values()) == {"failed", "skipped"}
    assert [path.name for path in (tmp_path / "run").iterdir() if not path.name.startswith(".")] == ["runs"]


@pytest.mark.parametrize("dry", [(), ("--dry-run",)], ids=["run", "dry run"])
def test_a_file_that_cannot_be_read_is_named(tmp_path, dry):
    data = shutil.copytree(SAMPLE, tmp_path / "data")
    (data / "stocks" / "DEAD.csv").symlink_to("nowhere")
    done = run_all("--run-dir", tmp_path / "run", "-p", "SOURCE", "folder", "-p", "DATA_DIR", data, *dry)
    assert done.returncode == 3
    error = done.stderr.splitlines()[0]
    assert f"{data / 'stocks' / 'DEAD.csv'} cannot be read" in error
    assert "--run-dir" not in error


def test_a_run_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    done = run_all("--run-dir", tmp_path / "file" / "run")
    assert done.returncode == 5
    assert "file" in done.stderr
    assert "--run-dir" in done.stderr
    assert "Traceback" not in done.stderr


def run_to_features(run_dir: Path, master: str, **environment: str) -> str:
    """Make the features of the market sample, or of the demo where it is not at hand. Returns their checksum."""
    data = os.environ.get("MARKET_SAMPLE", SAMPLE)
    arguments = ("--to", "features", "-p", "SPARK_MASTER", master, "-p", "SOURCE", "folder", "-p", "DATA_DIR", data)
    done = run_all("--run-dir", run_dir, *arguments, **environment)
    assert done.returncode == 0, f"{run_dir}: {done.stderr}"
    files = RunFolder(run_dir).current("features").files
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


@pytest.fixture(scope="module")
def featured(tmp_path_factory) -> tuple[RunFolder, str]:
    """A run folder after features, and their checksum."""
    run_dir = tmp_path_factory.mktemp("here")
    return RunFolder(run_dir), run_to_features(run_dir, "local[*]")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("master", "environment"),
    [
        ("local[1]", {"TZ": "Asia/Kathmandu", "LC_ALL": "C", "PYTHONHASHSEED": "1"}),
        ("local[2]", {"TZ": "America/St_Johns", "JAVA_TOOL_OPTIONS": "-Duser.language=tr"}),
    ],
    ids=["one core in Kathmandu", "two cores in Turkey"],
)
def test_features_are_the_same_bytes_anywhere(tmp_path, featured, master, environment):
    """Another number of cores, time zone, language, or order in which sets and dicts are walked."""
    assert run_to_features(tmp_path, master, **environment) == featured[1]


def test_a_bad_delivery_leaves_the_old_version(tmp_path, ready_spark):
    data, run_dir = tmp_path / "data", tmp_path / "run"
    (data / "stocks" / "old").mkdir(parents=True)
    shutil.copy(SAMPLE / "symbols_valid_meta.csv", data)
    shutil.copy(SAMPLE / "stocks" / "FB.csv", data / "stocks")
    shutil.copy(SAMPLE / "stocks" / "FB.csv", data / "stocks" / "old")
    arguments = ("--run-dir", run_dir, "--only", "ingest", "-p", "SOURCE", "folder", "-p", "DATA_DIR", data)
    good = run_all(*arguments, **ready_spark)
    assert good.returncode == 0
    report = max(run_dir.glob("runs/*/report.html")).read_text()
    assert all("stocks/old/FB.csv" in told for told in (good.stderr, report)), "what is left out is told"
    before = {name: RunFolder(run_dir).current(name).path for name in ("prices", "symbols", "quarantine")}
    with (data / "stocks" / "FB.csv").open("a") as file:
        file.write("2013-03-04,,,,,,\n" * 50)
    done = run_all(*arguments, **ready_spark)
    assert done.returncode == 4
    assert "MAX_QUARANTINE_SHARE" in done.stderr
    assert {name: RunFolder(run_dir).current(name).path for name in before} == before
    assert list_states(run_dir) == {"ingest": "failed"}
    assert not list(run_dir.glob("*/.*")), "a draft was left"


def test_a_second_run_on_the_same_folder_is_refused(tmp_path):
    with RunFolder(tmp_path).hold():
        done = run_all("--run-dir", tmp_path, "--to", "ingest")
    assert done.returncode == 6
    assert "--run-dir" in done.stderr


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow)]
)
def test_an_interrupted_run_leaves_no_process(tmp_path, ready_spark, number, code):
    run = subprocess.Popen(command("--run-dir", tmp_path, "--to", "ingest"), cwd=ROOT, env=own_spark())
    family = wait_for_kernel(run.pid)
    run.send_signal(number)
    assert run.wait(60) == code
    _, alive = psutil.wait_procs(family, timeout=20)
    assert not alive
    assert read_last_run(tmp_path)["exit_code"] == code
    assert run_all("--run-dir", tmp_path, "--to", "ingest", **ready_spark).returncode == 0


def wait_for_kernel(pid: int) -> list[psutil.Process]:
    """All processes of a run, as soon as a kernel and Spark are among them."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        family = psutil.Process(pid).children(recursive=True)
        names = [" ".join(one.cmdline()) for one in family if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]
        if any("early_kernel" in name for name in names) and any("SparkConnectServer" in name for name in names):
            return family
        time.sleep(0.2)
    raise AssertionError("no kernel and no Spark within a minute")


@pytest.mark.slow
def test_the_market_sample_is_accounted_for_to_the_row(market_sample, featured):
    run, _ = featured
    assert run.current("prices").rows + run.current("quarantine").rows == 2_339_171 - 652


SLOW = [pytest.param(place, marks=pytest.mark.slow) for place in ("prices/CURRENT", "stages.json")]


@pytest.mark.parametrize("place", ["prices/*/manifest.json", *SLOW])
def test_a_damaged_run_folder_is_one_line_to_who_looks_and_mended_by_who_runs(demo, tmp_path, ready_spark, place):
    shutil.copytree(demo, tmp_path / "run", ignore=shutil.ignore_patterns("runs"))
    (path,) = (tmp_path / "run").glob(place)
    path.write_bytes(b"[]")
    looked = run_all("--run-dir", tmp_path / "run", "--dry-run")
    assert looked.returncode == 3
    assert path.name in looked.stderr and looked.stderr.count("\n") == 1
    ran = run_all("--run-dir", tmp_path / "run", "--to", "ingest", "--quiet", **ready_spark)
    assert ran.returncode == 0, ran.stderr
    assert run_all("--run-dir", tmp_path / "run", "--dry-run", "--to", "ingest").returncode == 0
