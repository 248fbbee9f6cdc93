"""What a stage is remembered by, and when it is no longer what it was."""

import shutil
from dataclasses import replace
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from pipeline.datasets.run_folder import RunFolder
from pipeline.ingest.source import open_source
from pipeline.runs.fingerprint import explain, find_inputs, list_parts, open_step_source, record_stage
from pipeline.runs.plan import NOTEBOOKS, Step, make_plan
from pipeline.stages import Stage
from tests.ingest.deliveries import make_delivery

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


@pytest.fixture
def ingest(tmp_path) -> Step:
    """A stage that brings its raw files itself."""
    write_notebook(tmp_path / "01_ingest.ipynb", "read = True")
    stage = Stage("ingest", "01_ingest.ipynb", reads=(), writes=("prices",))
    parameters = {"SOURCE": "folder", "DATA_DIR": str(tmp_path / "data"), "UPDATE": True, "SYMBOLS": ""}
    return Step(stage, tmp_path / "01_ingest.ipynb", parameters, asked_for=False)


def test_an_update_runs_each_time_and_what_it_brought_counts_as_read(ingest, tmp_path):
    run = RunFolder(tmp_path / "run")
    assert open_step_source(ingest) is None  # the folder is not there yet
    inputs, stamp = find_inputs(run, ingest, None)
    parts = list_parts(ingest, inputs)
    folder = make_delivery(tmp_path / "data", {"stocks/A.csv": b"Date\n"})
    source = open_source("folder", str(folder))
    run.open_draft("prices").publish(parameters={}, inputs={"source": source.content_fingerprint})
    record_stage(run, ingest, inputs, parts, stamp, by="")
    assert explain(run, ingest, find_inputs(run, ingest, None)[0]) == "looks for new prices"
    without = replace(ingest, parameters=ingest.parameters | {"UPDATE": False})
    assert explain(run, without, find_inputs(run, without, open_step_source(without))[0]) is None


def test_output_that_is_gone_is_made_again(step, tmp_path):
    version = publish(tmp_path)
    record_stage(RunFolder(tmp_path), step, INPUTS, list_parts(step, INPUTS), stamp=None, by="")
    assert explain(RunFolder(tmp_path), step, INPUTS) is None
    shutil.rmtree(version)
    assert explain(RunFolder(tmp_path), step, INPUTS) == "its output is gone"


def test_paths_of_a_file_begin_in_the_project_and_those_of_a_command_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "followed.txt").write_text("AAPL\n")
    overrides = [("DATA_DIR", "data"), ("SYMBOLS", "followed.txt")]
    plan = make_plan(NOTEBOOKS.parent / "params" / "daily.yaml")
    assert plan["DATA_DIR"] == str(NOTEBOOKS.parent / "outputs" / "daily-prices")
    plan = make_plan(NOTEBOOKS.parent / "params" / "daily.yaml", overrides)
    assert (plan["DATA_DIR"], plan["SYMBOLS"]) == (str(tmp_path / "data"), str(tmp_path / "followed.txt"))
    listed = make_plan(NOTEBOOKS.parent / "params" / "daily.yaml", [("DATA_DIR", "/data"), ("SYMBOLS", "AAPL," * 99)])
    assert (listed["DATA_DIR"], listed["SYMBOLS"]) == ("/data", "AAPL," * 99)
