"""Whole evenings, as a person's cron runs them: the stand-in for Yahoo, all four notebooks, the diary that grows."""

import json
import math
import os
import subprocess
import sys
from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from pipeline.datasets.run_folder import RunFolder
from pipeline.update.bars import BarFile
from tests.diary.evenings import evening
from tests.update.stand_in import Security, StandIn, serve

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
SYMBOLS = ("AAPL", "IBM", "MSFT")


@pytest.fixture(scope="module")
def securities() -> list[Security]:
    """Real prices of the demo. One pays a dividend on the last day, another's Volume is corrected the day after."""
    bars = {
        name: BarFile.parse((ROOT / "notebooks/sample/stocks" / f"{name}.csv").read_bytes()).bars for name in SYMBOLS
    }
    last = max(bars["IBM"])
    return [
        Security("AAPL", bars["AAPL"], dividends={last: 0.02}),
        Security("IBM", bars["IBM"], early={last}),
        Security("MSFT", bars["MSFT"]),
    ]


def run_evening(state: StandIn, home: Path, day: date, *arguments: str) -> dict[str, dict]:
    """The command of a cron line at a quarter past eight. Returns what is forecast, by symbol."""
    state.now = evening(day).now
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SPARK_")}
    world = {"YAHOO_URL": state.url, "NASDAQ_URL": state.url, "AS_OF": state.now.isoformat()}
    few = {"DATA_DIR": str(home / "prices"), "MODELS": "naive,linear,grid", "TEST_FROM": "2010-01-01"}
    command = [sys.executable, "run_all.py", "--params", "params/daily.yaml", "--run-dir", str(home / "run"), "--quiet"]
    command += [word for name, value in few.items() for word in ("-p", name, value)]
    done = subprocess.run([*command, *arguments], cwd=ROOT, env=clean | world, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = (RunFolder(home / "run").current("model").path / "symbols.jsonl").read_text().splitlines()
    return {line["symbol"]: line for line in map(json.loads, lines)}


def test_three_evenings_end_with_scores_that_somebody_else_computes(securities, tmp_path):
    pytest.importorskip("yfinance", reason="pip install -r pipeline/update/requirements.txt")
    days = sorted(securities[1].bars)[-4:]
    told = {}
    with serve(StandIn(securities, evening(days[0]).now)) as state:
        told[days[1]] = run_evening(state, tmp_path, days[0], "-p", "SYMBOLS", ",".join(SYMBOLS))
        for today, tomorrow in zip(days[1:], [*days[2:], None], strict=False):
            told[tomorrow] = run_evening(state, tmp_path, today)  # whoever has a file is followed
    run = RunFolder(tmp_path / "run")
    assert {line["date"] for line in told[None].values()} == {"2013-03-04"}  # the session after the sample's last
    scores = pd.concat([pd.read_parquet(file) for file in run.current("scores").files])
    assert len(scores) == 3 * 3
    for row in scores.itertuples():
        truth = next(one for one in securities if one.symbol == row.symbol)
        actual = truth.tell(row.date, row.date).volume  # as it was told on its own evening
        past = [bar.volume for day, bar in sorted(truth.bars.items()) if day < row.date][-5:]
        naive = round(math.exp(sum(map(math.log1p, past)) / 5) - 1)
        line = told[row.date][row.symbol]
        assert (row.volume, row.low, row.high) == (line["volume"], line["low"], line["high"])
        assert row.actual == actual
        assert row.naive == pytest.approx(naive, rel=1e-5)  # models see six digits of a logarithm
        assert (row.error, row.naive_error) == (abs(line["volume"] - actual), abs(row.naive - actual))
        assert row.inside == (line["low"] <= actual <= line["high"])
    assert scores["replay"].all()  # by a clock that was set
    report = max(tmp_path.glob("run/runs/*/report.html")).read_text()
    assert "How the prices were brought up to date" in report and "restated" in report
    window = json.loads((run.current("model").path / "track_record.json").read_text())["replay"]["windows"]["20"]
    assert (window["forecasts"], window["sessions"]) == (9, 3)
    assert f"{window['coverage']:.1%}" in report
