"""A replayed diary: no day has seen what came after it, and what it shows is marked."""

import json
import sys
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from pipeline.datasets.contract import FEATURES, SYMBOLS
from pipeline.datasets.parts import keep_attempts, write_attempt
from pipeline.datasets.run_folder import RunFolder
from pipeline.diary.__main__ import main
from pipeline.diary.past import Recipe
from pipeline.diary.record import FILE
from pipeline.diary.replay import find_last_day, read_recipe, replay
from pipeline.diary.sessions import find_opens
from pipeline.errors import InputError
from pipeline.features.write import add_features
from pipeline.forecasting.next_day.bands import QUANTILE_TREES
from pipeline.forecasting.next_day.trading_calendar import open_calendar
from pipeline.forecasting.periods import EPOCH
from tests.diary.evenings import Evenings, list_sessions, make_volumes
from tests.forecasting.small_prices import LAST_DAY, make_prices

NAMES = [f"S{number}" for number in range(10)]
DAYS = 20


def publish(run: RunFolder, rows: int, planted: int = LAST_DAY + 1) -> None:
    """Features, symbols and a model of ten symbols, whose Volumes are a thousandfold from the day `planted` on."""
    prices = make_prices(open_calendar(LAST_DAY), NAMES, seed=3, rows=rows)
    late = pc.greater_equal(prices["Date"].cast(pa.int32()), planted)
    volume = pc.if_else(late, pc.multiply(prices["Volume"], 1_000), prices["Volume"])
    prices = prices.set_column(prices.schema.get_field_index("Volume"), "Volume", volume)
    facts = {"kind": "stock", "file": "f", "data_rows": 1, "rows": 1, "refused": 0, "flagged": 0}
    listed = pa.Table.from_pylist([{"Symbol": name, **facts} for name in NAMES], SYMBOLS)
    for dataset, table, schema in (
        ("features", add_features(prices, 30, "rows"), FEATURES),
        ("symbols", listed, SYMBOLS),
    ):
        draft = run.open_draft(dataset)
        parts = keep_attempts(draft.attempts, [write_attempt(table, draft.attempts)])
        draft.publish(parts, parameters={}, inputs={}, schema=schema)
    draft = run.open_draft("model")
    scores = {"champion": "linear", "test_from": "2016-01-01", "coverage": 0.8, "models": {"linear": {"mae": 1.0}}}
    (draft.path / "metrics.json").write_text(json.dumps({"next_day": scores}))
    draft.publish(parameters={"NEXT_DAY_ROWS": 100_000}, inputs={}, extra={"model": {}})


def read(run: RunFolder, dataset: str) -> pd.DataFrame:
    return pd.concat([pd.read_parquet(file) for file in run.current(dataset).files], ignore_index=True)


@pytest.fixture(scope="module")
def replayed(spark, tmp_path_factory) -> RunFolder:
    run = RunFolder(tmp_path_factory.mktemp("replayed"))
    publish(run, 900)
    assert replay(spark, run, DAYS, print) == DAYS * len(NAMES)
    return run


def test_all_of_it_is_a_replay_made_before_its_day(replayed):
    forecasts = read(replayed, "forecasts")
    assert forecasts["replay"].all() and not forecasts["late"].any()
    assert (forecasts["made_at"] < find_opens(forecasts["date"])).all()
    assert (
        forecasts["made_at"].dt.tz_convert("America/New_York").dt.hour.isin([17, 20]).all()
    )  # of a half day, of others
    assert forecasts["date"].nunique() == DAYS
    record = json.loads((replayed.current("model").path / FILE).read_text())
    assert record["live"] is None and record["doubts"] == []
    window = record["replay"]["windows"]["20"]
    scores = read(replayed, "scores")
    assert window["coverage"] == round(scores["inside"].mean(), 4) and 0.7 < window["coverage"] < 0.9
    assert window["skill"] == round(1 - scores["error"].sum() / scores["naive_error"].sum(), 4)
    actual = read(replayed, "features").set_index(["Symbol", "Date"])["Volume"]
    expected = [actual[symbol, day] for symbol, day in zip(scores["symbol"], scores["date"], strict=True)]
    assert scores["actual"].tolist() == expected


def test_a_day_knows_nothing_of_what_came_after_it(replayed, spark, tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.forecasting.next_day.plan.SHOWN", 30)  # rows; a replay is no plot: it has all of them
    days = sorted(read(replayed, "forecasts")["date"].unique())
    planted = (days[DAYS // 2] - pd.Timestamp(0).date()).days
    run = RunFolder(tmp_path)
    publish(run, 900, planted)
    replay(spark, run, DAYS, print)
    before, after = read(replayed, "forecasts"), read(run, "forecasts")
    known = before["date"] <= days[DAYS // 2]  # its own Volume is among what came after
    pd.testing.assert_frame_equal(before[known], after[known])
    assert not np.array_equal(before.loc[~known, "volume"], after.loc[~known, "volume"])


def test_days_are_replayed_once_and_earlier_ones_are_added(replayed, spark):
    before = replayed.current("forecasts").id
    assert replay(spark, replayed, DAYS, print) == 0
    assert replayed.current("forecasts").id == before
    assert replay(spark, replayed, DAYS + 5, print) == 5 * len(NAMES)
    assert not read(replayed, "scores").duplicated(["symbol", "date"]).any()


def test_the_recipe_is_that_of_the_last_training(tmp_path):
    run = RunFolder(tmp_path)
    for interval, expected in (({"interval": "conformal"}, "conformal"), ({}, QUANTILE_TREES)):
        draft = run.open_draft("model")
        scores = {"champion": "linear", "test_from": "2016-01-01", "coverage": 0.8, "models": {"linear": {"mae": 1.0}}}
        (draft.path / "metrics.json").write_text(json.dumps({"next_day": scores | interval}))
        model = draft.publish(parameters={"NEXT_DAY_ROWS": 5}, inputs={})
        assert read_recipe(run, model) == Recipe("linear", 5, expected)


def test_a_misprinted_date_of_one_symbol_is_not_the_last_day(spark, tmp_path):
    days = list_sessions(date(2021, 1, 4), 9)
    market = Evenings(tmp_path, make_volumes(["A", "B", "C"], days[:8]))
    del market.volumes["B"][days[7]]  # nor does a symbol that is late move it
    market.volumes["C"][date(2021, 9, 1)] = 1
    assert EPOCH + timedelta(days=find_last_day(spark, market.publish_features(date.max))) == days[7]


def test_too_little_history_says_how_much_is_needed(spark, tmp_path):
    run = RunFolder(tmp_path)
    publish(run, 280)
    with pytest.raises(InputError, match="more than a year of days before it"):
        replay(spark, run, DAYS, print)
    assert run.find("forecasts") is None


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--days", "0"], 2, "from 1 to 250"),
        (["--days", "many"], 2, "invalid int"),
        ([], 3, "run notebooks/02_features.ipynb first"),
    ],
)
def test_wrong_usage_ends_before_spark_starts(tmp_path, monkeypatch, capsys, arguments, code, words):
    monkeypatch.setattr(sys, "argv", ["diary", "replay", "--run-dir", str(tmp_path / "run"), *arguments])
    try:
        ended = main()
    except SystemExit as usage:
        ended = usage.code
    told = capsys.readouterr().err
    assert (ended, words in told, "Traceback" in told) == (code, True, False), told


def test_a_run_that_holds_the_folder_is_not_disturbed(replayed, monkeypatch, capsys):
    with replayed.hold():
        monkeypatch.setattr(sys, "argv", ["diary", "replay", "--run-dir", str(replayed)])
        assert main() == 6
    assert "in use by another run" in capsys.readouterr().err


def test_the_command_tells_what_it_did(replayed, monkeypatch, capsys, ready_spark):
    monkeypatch.setattr("pyspark.sql.connect.session.SparkSession.stop", lambda self: None)
    monkeypatch.setattr(sys, "argv", ["diary", "replay", "--run-dir", str(replayed), "--days", str(DAYS)])
    assert main() == 0
    told = capsys.readouterr().out
    assert "linear, learns from the days before" in told and "0 forecasts noted." in told
    assert "inside their 80% interval" in told and Path(str(replayed), ".lock").exists()
