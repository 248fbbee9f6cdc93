"""Only what changed runs: a copy of the project is run once, then one thing is changed in it at a time."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest

from tests.faults.kills import FAST

ROOT = Path(__file__).parents[2]
COPIED = ("notebooks", "params", "pipeline", "serving", "run_all.py")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def ran(tmp_path_factory, spark) -> Path:
    """A copy of the project in which the four stages have run."""
    project = tmp_path_factory.mktemp("ran") / "project"
    project.mkdir()
    for name in COPIED:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, project / name)
    assert run_all(project).returncode == 0
    return project


@pytest.fixture
def project(ran, tmp_path) -> Path:
    """The same for one test to change."""
    return Path(shutil.copytree(ran, tmp_path / "project"))


def run_all(project: Path, *arguments: str) -> subprocess.CompletedProcess:
    """A run of the copy, on the test run's Spark."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, "run_all.py", "--run-dir", str(project / "run"), *FAST, *arguments]
    return subprocess.run(command, cwd=project, env=kept, capture_output=True, text=True)


def list_planned(project: Path, *arguments: str) -> set[str]:
    """The stages that a dry run says would run."""
    done = run_all(project, "--dry-run", *arguments)
    assert done.returncode == 0, done.stderr
    words = [line.split() for line in done.stdout.splitlines() if not line.startswith(" ")]
    return {one[0] for one in words if one[1] == "runs"}


def edit_notebook(project: Path, name: str, edit: Callable[[nbformat.NotebookNode], None]) -> None:
    path = project / "notebooks" / name
    notebook = nbformat.read(path, as_version=4)
    edit(notebook)
    nbformat.write(notebook, path)


def edit_text_and_outputs(notebook: nbformat.NotebookNode) -> None:
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source += "\n\nAnother word."
        else:
            cell.outputs, cell.execution_count = [], None


def edit_code(notebook: nbformat.NotebookNode) -> None:
    notebook.cells[-2].source += "\n\nAnother word."
    next(cell for cell in reversed(notebook.cells) if cell.cell_type == "code").source += "\nprint('more')"


def touch_input(project: Path) -> None:
    for path in project.glob("notebooks/sample/**/*.csv"):
        os.utime(path)


def change_input(project: Path) -> None:
    path = project / "notebooks" / "sample" / "stocks" / "AAPL.csv"
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines[:-1]) + "\n")


def append(project: Path, name: str) -> None:
    with (project / name).open("a") as file:
        file.write("\n# another word\n")


ALL = {"ingest", "features", "train", "serve"}


@pytest.mark.parametrize(
    ("change", "arguments", "planned"),
    [
        (lambda project: None, (), {"serve"}),
        (touch_input, (), {"serve"}),
        (lambda project: edit_notebook(project, "01_ingest.ipynb", edit_text_and_outputs), (), {"serve"}),
        (lambda project: edit_notebook(project, "03_train.ipynb", edit_code), (), {"train", "serve"}),
        (lambda project: None, ("-p", "WINDOW_DAYS", "20"), {"features", "train", "serve"}),
        (lambda project: None, ("-p", "TEST_FROM", "2011-01-01"), {"train", "serve"}),
        (lambda project: append(project, "pipeline/features/rolling.py"), (), ALL),
        (lambda project: append(project, "serving/bundle.py"), (), {"train", "serve"}),
        (change_input, (), ALL),
        (lambda project: (project / "notebooks/sample/stocks/FB.csv").unlink(), (), ALL),
        (lambda project: (project / "run/prices/CURRENT").unlink(), (), ALL),
        (lambda project: None, ("--fresh",), ALL),
    ],
    ids=[
        "nothing",
        "times of the input",
        "text and outputs",
        "code of a notebook",
        "WINDOW_DAYS",
        "TEST_FROM",
        "pipeline",
        "serving",
        "a row of the input",
        "a file of the input",
        "what is current",
        "--fresh",
    ],
)
def test_what_changed_and_what_is_downstream_runs(project, change, arguments, planned):
    change(project)
    assert list_planned(project, *arguments) == planned


def test_a_run_does_what_a_dry_run_says(project):
    touch_input(project)
    edit_notebook(project, "02_features.ipynb", edit_text_and_outputs)
    done = run_all(project, "-p", "WINDOW_DAYS", "20", "--to", "features")
    assert done.returncode == 0, done.stderr
    run = json.loads(max(project.glob("run/runs/*/run.json")).read_text())
    assert [stage["state"] for stage in run["stages"]] == ["cached", "done"]
    report = max(project.glob("run/runs/*/report.html"))
    link = f"../{run['stages'][0]['run']}/01_ingest.html"
    assert f'href="{link}"' in report.read_text()  # what a cached stage showed is still to be read
    assert (report.parent / link).exists()
