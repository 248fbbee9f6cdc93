"""`03_train` on odd markets, as `run_all.py` runs it: it learns, or says in a line why nothing can be learned."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from small_prices import make_prices

from pipeline.datasets.contract import FEATURES, SYMBOLS
from pipeline.datasets.parts import keep_attempts, write_attempt
from pipeline.datasets.run_folder import RunFolder
from pipeline.features.write import add_features

ROOT = Path(__file__).parents[2]


def publish(run_dir: Path, prices: pa.Table, kind: str = "stock") -> None:
    """What the notebooks before 03 leave: `features` in a part, and `symbols`."""
    names = prices["Symbol"].combine_chunks().dictionary.to_pylist()
    numbers = dict.fromkeys(("data_rows", "rows", "refused", "flagged"), 0)
    listed = [{"Symbol": name, "kind": kind, "file": f"{name}.csv", **numbers} for name in names]
    tables = {"features": add_features(prices, 30, "rows"), "symbols": pa.Table.from_pylist(listed, schema=SYMBOLS)}
    for dataset, table in tables.items():
        draft = RunFolder(run_dir).open_draft(dataset)
        parts = keep_attempts(draft.path, [write_attempt(table, draft.path)])
        draft.publish(parts, schema=FEATURES if dataset == "features" else SYMBOLS, parameters={}, inputs={})


@pytest.fixture
def train(spark, tmp_path):
    """Train on what was published in tmp_path, by the test run's Spark."""

    def run(*arguments: str) -> subprocess.CompletedProcess:
        command = [sys.executable, "run_all.py", "--run-dir", str(tmp_path), "--only", "train"]
        command += ["-p", "TEST_FROM", "auto", *arguments]
        return subprocess.run(command, cwd=ROOT, env=dict(os.environ), capture_output=True, text=True)

    return run


def read_metrics(run_dir: Path) -> dict:
    return json.loads((RunFolder(run_dir).current("model").path / "metrics.json").read_text())


@pytest.mark.slow
def test_the_same_data_trained_twice_are_the_same_version(train, tmp_path, calendar):
    """Three symbols, of which chance holds none out."""
    publish(tmp_path, make_prices(calendar, ["AAPL", "MSFT", "GOOG"], 4, rows=1_300))
    ids = set()
    for _ in range(2):
        done = train("-p", "MODELS", "naive,linear,xgboost,grid")
        assert done.returncode == 0, done.stderr
        ids.add(RunFolder(tmp_path).current("model").id)
    assert len(ids) == 1
    metrics = read_metrics(tmp_path)
    assert metrics["same_day"]["test_from"] == metrics["next_day"]["test_from"] == "2015-07-15"
    assert metrics["next_day"]["held_out"] is False


@pytest.mark.slow
@pytest.mark.parametrize("next_day", ["true", "false"])
def test_one_fund_whose_volume_never_changes(train, tmp_path, calendar, next_day):
    publish(tmp_path, make_prices(calendar, ["SPY"], 4, rows=1_300, spread=0.0), kind="etf")
    done = train("-p", "NEXT_DAY", next_day)
    assert done.returncode == 0, done.stderr
    metrics = read_metrics(tmp_path)
    assert ("next_day" in metrics) == (next_day == "true")
    assert metrics["same_day"]["models"]["naive"]["mae"] == 0.0
    assert metrics["same_day"]["coverage"] == 1.0


def test_prices_without_a_volume_teach_nothing(train, tmp_path, calendar):
    prices = make_prices(calendar, ["^GSPC", "EURUSD"], 4)
    publish(tmp_path, prices.set_column(8, prices.schema.field("Volume"), pa.array(np.zeros(1_800, np.int64))))
    done = train()
    assert done.returncode == 3
    (line, *_) = done.stderr.splitlines()
    assert "58 no features yet, 1,742 without a Volume in their window" in line
    assert not (tmp_path / "model").exists()
