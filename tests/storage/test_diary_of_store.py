"""The diary of forecasts in an object store: replayed, and kept evening after evening with the prices beside it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.datasets.places import open_place, read_table
from pipeline.datasets.run_folder import RunFolder
from pipeline.update.bars import BarFile
from pipeline.update.ledger import read_entries
from tests.diary import test_replay as replays
from tests.diary.evenings import evening
from tests.storage.stores import SECRET
from tests.update.stand_in import Security, StandIn, serve

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
SYMBOLS = ("AAPL", "IBM", "MSFT")


def read_checksums(run: RunFolder, dataset: str) -> list[str]:
    return [file["sha256"] for file in run.current(dataset).manifest["files"]]


def replay(run: RunFolder) -> str:
    command = [sys.executable, "-m", "pipeline.diary", "replay", "--run-dir", str(run), "--days", "20"]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SPARK_")}
    done = subprocess.run([*command, "--master", "local[2]"], cwd=ROOT, env=clean, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_replay_in_a_store_is_that_of_a_folder(url, tmp_path):
    stored, kept = runs = RunFolder(url), RunFolder(tmp_path)
    told = []
    for run in runs:
        replays.publish(run, 900)
        told.append(replay(run))
    assert told[0] == told[1] and "200 forecasts noted" in told[0]
    for dataset in ("forecasts", "scores", "model"):
        assert read_checksums(stored, dataset) == read_checksums(kept, dataset)
    assert "0 forecasts noted" in replay(stored)
    assert read_checksums(stored, "forecasts") == read_checksums(kept, "forecasts")


def run_evening(state: StandIn, url: str, day, *arguments: str) -> str:
    """The command of a cron line at a quarter past eight: prices, run folder and diary are in the store."""
    state.now = evening(day).now
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SPARK_")}
    world = {"YAHOO_URL": state.url, "NASDAQ_URL": state.url, "AS_OF": state.now.isoformat()}
    few = {"DATA_DIR": f"{url}/prices", "MODELS": "naive,linear,grid", "TEST_FROM": "2010-01-01"}
    command = [sys.executable, "run_all.py", "--params", "params/daily.yaml", "--run-dir", f"{url}/run"]
    command += [word for name, value in few.items() for word in ("-p", name, value)]
    done = subprocess.run([*command, *arguments], cwd=ROOT, env=clean | world, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert SECRET not in done.stdout + done.stderr
    return done.stdout


def test_evenings_in_a_store_are_forecast_and_scored(url):
    pytest.importorskip("yfinance", reason="pip install -r pipeline/update/requirements.txt")
    sample = ROOT / "notebooks/sample/stocks"
    bars = {name: BarFile.parse((sample / f"{name}.csv").read_bytes()).bars for name in SYMBOLS}
    last, before = sorted(bars["IBM"], reverse=True)[:2]
    securities = [Security(name, bars[name]) for name in SYMBOLS]
    securities[0].dividends[last] = 0.02
    with serve(StandIn(securities, evening(before).now)) as state:
        run_evening(state, url, before, "-p", "SYMBOLS", ",".join(SYMBOLS))
        run_evening(state, url, last)  # whoever has a file is followed
    entries = read_entries(open_place(f"{url}/prices"))
    assert {symbol: entry.state for symbol, entry in entries.items()} == {
        "AAPL": "restated",
        "IBM": "appended",
        "MSFT": "appended",
    }
    run = RunFolder(f"{url}/run")
    scores = read_table(run.current("scores").files).to_pylist()
    assert {(row["symbol"], row["date"]) for row in scores} == {(name, last) for name in SYMBOLS}
    assert all(row["actual"] == bars[row["symbol"]][last].volume for row in scores)
    assert len(read_table(run.current("forecasts").files)) == 2 * len(SYMBOLS)
    newest = max((run.path / "runs").iterdir(), key=lambda path: path.name)
    assert "restated" in (newest / "report.html").read_text()
    assert json.loads((newest / "run.json").read_bytes())["exit_code"] == 0
