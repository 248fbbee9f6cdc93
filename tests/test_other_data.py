"""The series on data of another size and shape: what its executed notebooks say must be true of them, too."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from pipeline.datasets.run_folder import RunFolder
from pipeline.hosted import ROOT
from pipeline.reports.skill import tell_skill

FIRST, LAST = "2013-01-01", "2018-12-31"  # six years
WANTED = 20


def cut_market(market: Path, folder: Path) -> Path:
    """Twenty symbols of the market, six years of each."""
    (folder / "stocks").mkdir(parents=True)
    (folder / "etfs").mkdir()
    shutil.copy(market / "symbols_valid_meta.csv", folder)
    chosen = 0
    for path in sorted(market.glob("stocks/*.csv")):
        head, *lines = path.read_text(errors="replace").splitlines()
        kept = [line for line in lines if FIRST <= line[:10] <= LAST]
        if len(kept) > 1500 and chosen < WANTED:
            (folder / "stocks" / path.name).write_text("\n".join([head, *kept]) + "\n")
            chosen += 1
    assert chosen == WANTED
    return folder


def read_run(run: Path) -> tuple[dict[str, str], dict]:
    """What each executed notebook printed, and the metrics of its model."""
    (folder,) = (run / "runs").iterdir()
    printed = {}
    for path in folder.glob("*.ipynb"):
        cells = nbformat.read(path, as_version=4).cells
        outputs = [output for cell in cells if cell.cell_type == "code" for output in cell.outputs]
        printed[path.stem] = "\n".join(output.get("text", "") for output in outputs)
    model = RunFolder(run).current("model").path
    return printed, json.loads((model / "metrics.json").read_text())


@pytest.mark.slow  # two whole runs
@pytest.mark.parametrize("next_day", ["true", "false"])
def test_what_the_notebooks_say_is_true_of_twenty_symbols(tmp_path, market_sample, ready_spark, next_day):
    data = cut_market(market_sample, tmp_path / "in")
    run = tmp_path / "run"
    command = [sys.executable, "run_all.py", "--params", "params/folder.yaml", "--run-dir", str(run)]
    command += ["-p", "DATA_DIR", str(data), "-p", "MODELS", "linear,grid,xgboost", "-p", "NEXT_DAY", next_day]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | ready_spark, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    printed, metrics = read_run(run)
    train, same_day = printed["03_train"], metrics["same_day"]
    skill = same_day["models"][same_day["champion"]]["skill"]
    assert f"in the test {same_day['champion']} is {tell_skill(skill)}" in train
    assert f"{same_day['coverage']:.1%} of the test days lie inside" in train
    if next_day == "true":
        tomorrow = metrics["next_day"]
        skill = tomorrow["models"][tomorrow["champion"]]["skill"]
        assert f"ok: {tomorrow['champion']} against naive: {tell_skill(skill)}" in train
        assert f"{tomorrow['coverage']:.1%} of the days lie in their interval" in train
        assert "skipped" not in train
    else:
        assert "next_day" not in metrics
        assert train.count("skipped: NEXT_DAY is False") > 5
        assert "skipped: this model has no next day" in shown(run, "04_serve")


def shown(run: Path, notebook: str) -> str:
    """The tables of an executed notebook, as text."""
    (path,) = run.glob(f"runs/*/{notebook}.ipynb")
    outputs = [output for cell in nbformat.read(path, as_version=4).cells for output in cell.get("outputs", [])]
    return "\n".join(output.get("data", {}).get("text/plain", "") for output in outputs)
