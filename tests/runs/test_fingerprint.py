"""What a stage is remembered by, and when it is no longer what it was."""

import shutil
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from pipeline.datasets.run_folder import RunFolder
from pipeline.runs.fingerprint import explain, list_parts, record_stage
from pipeline.runs.plan import Step
from pipeline.stages import Stage

INPUTS = {"prices": "1234"}


@pytest.fixture
def step(tmp_path) -> Step:
    write_notebook(tmp_path / "02_features.ipynb", "window = 30")
    stage = Stage("features", "02_features.ipynb", reads=("prices",), writes=("features",))
    return Step(stage, tmp_path / "02_features.ipynb", {"WINDOW_DAYS": 30}, asked_for=False)


def write_notebook(path: Path, code: str) -> None:
    nbformat.write(new_notebook(cells=[new_code_cell(code)]), path)


def publish(run_dir: Path) -> Path:
    return RunFolder(run_dir).open_draft("features").publish(parameters={}, inputs=INPUTS).path


def test_what_was_saved_while_the_stage_ran_is_run(step, tmp_path):
    parts = list_parts(step, INPUTS)
    publish(tmp_path)
    write_notebook(step.notebook, "window = 20")
    record_stage(RunFolder(tmp_path), step, INPUTS, parts, stamp=None, by="")
    assert explain(RunFolder(tmp_path), step, INPUTS) == "changed: notebook"


def test_output_that_is_gone_is_made_again(step, tmp_path):
    version = publish(tmp_path)
    record_stage(RunFolder(tmp_path), step, INPUTS, list_parts(step, INPUTS), stamp=None, by="")
    assert explain(RunFolder(tmp_path), step, INPUTS) is None
    shutil.rmtree(version)
    assert explain(RunFolder(tmp_path), step, INPUTS) == "its output is gone"
