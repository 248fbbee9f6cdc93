"""A small published market of odd symbols, and how the tests ask for it in SQL."""

import json
import os
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa

from pipeline.datasets.contract import FEATURES, FORECASTS, PRICES, QUARANTINE, SCORES, SYMBOLS
from pipeline.datasets.parts import keep_attempts, write_attempt
from pipeline.datasets.run_folder import RunFolder

ROOT = Path(__file__).parents[2]
ODD = ["^GSPC", "BRK-A", "CARR#", "a b", "[1]", "100%", "O'Neil", 'say "so"', "back\\slash", "日本", "tab\tline\n"]
MEASURES = {"mae": 1.5, "rmse": 2.5, "r2": 0.5, "wape": 0.1, "rmsle": 0.2, "skill": 0.0, "test_rows": 10}
FITTED = {"train_rows": 20, "calibration_mae": 1.0}
METRICS = {
    "same_day": {"champion": "grid", "models": {"naive": MEASURES, "grid": MEASURES | FITTED}},
    "next_day": {"champion": "naive", "models": {"naive": MEASURES}},
}


def publish_market(run_dir: Path | str, days: int = 40, model: bool = True) -> None:
    """A run folder as a run leaves it: odd symbols, `days` rows each, prices and features in two parts."""
    rows = [
        {
            "Symbol": symbol,
            "Security Name": None if number % 2 else f"{symbol} Inc.\0",
            "Date": date(2020, 1, 1) + timedelta(day),
            **dict.fromkeys(("Open", "High", "Low", "Close", "Adj Close"), 10.0 + day / 3),
            "Volume": 18_000_000_000 + day,
            "vol_moving_avg": None if day < 29 else day / 7,
            "adj_close_rolling_med": None if day < 29 else 1e-300,
        }
        for number, symbol in enumerate(ODD)
        for day in range(days)
    ]
    half = days * (len(ODD) // 2)
    for dataset, schema in (("prices", PRICES), ("features", FEATURES)):
        publish(run_dir, dataset, schema, rows[:half], rows[half:])
    symbols = [
        {"Symbol": symbol, "kind": "stock", "file": f"stocks/{symbol}.csv", "rows": days, "total_volume": 1}
        | dict.fromkeys(("data_rows", "refused", "flagged"), 0)
        for symbol in ODD
    ]
    publish(run_dir, "symbols", SYMBOLS, symbols)
    refused = [{"file": "a.csv", "line": None, "text": text, "reason": "blank", "rows": 1} for text in (*ODD, "a\0b")]
    publish(run_dir, "quarantine", QUARANTINE, refused)
    if model:
        publish_diary(run_dir)
        draft = RunFolder(run_dir).open_draft("model")
        (draft.path / "metrics.json").write_text(json.dumps(METRICS))
        draft.publish(parameters={}, inputs={})


def publish_diary(run_dir: Path | str) -> None:
    """Two evenings' forecasts of each symbol for the same day, in two parts, of which the later one is scored."""
    day = {
        "date": date(2020, 2, 10),
        "volume": 2**40,
        "low": 1,
        "high": 2**41,
        "naive": 5,
        "model": "m",
        "replay": False,
    }
    evenings = [
        [
            {"made_at": datetime(2020, 2, number, 1, 15, 0, 250, UTC), "symbol": symbol, "late": False} | day
            for symbol in ODD
        ]
        for number in (8, 9)
    ]
    publish(run_dir, "forecasts", FORECASTS, *evenings)
    came = {"actual": 2**40 + 1, "error": 1, "naive_error": 2**40 - 4, "inside": True}
    publish(run_dir, "scores", SCORES, [row | came for row in evenings[1]])


def publish(run_dir: Path | str, dataset: str, schema: pa.Schema, *parts: list[dict]) -> None:
    draft = RunFolder(run_dir).open_draft(dataset)
    attempts = [write_attempt(pa.Table.from_pylist(part, schema=schema), draft.attempts) for part in parts]
    draft.publish(keep_attempts(draft.attempts, attempts), schema=schema, parameters={}, inputs={})


def sql(*arguments, **environment) -> subprocess.CompletedProcess:
    """`python -m pipeline.sql` as a person calls it."""
    command = [sys.executable, "-m", "pipeline.sql", *map(str, arguments)]
    clean = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    return subprocess.run(command, cwd=ROOT, env=clean | environment, capture_output=True, text=True)


def ask_file(run_dir: Path, query: str) -> list[tuple]:
    with duckdb.connect(run_dir / "market.duckdb", read_only=True) as database:
        return database.execute(query).fetchall()
