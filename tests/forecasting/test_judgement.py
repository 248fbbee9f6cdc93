"""Models are judged by tasks as the textbook would judge them with all rows at hand."""

import numpy as np
import pandas as pd
import pytest

from pipeline.forecasting import chunks, intervals
from pipeline.forecasting.champion import choose_champion
from pipeline.forecasting.days import count_days
from pipeline.forecasting.market_rows import concatenate, draw_luck, is_held_out, number_symbols, read_rows
from pipeline.forecasting.periods import plan_periods
from pipeline.forecasting.same_day import models as same_day
from pipeline.forecasting.same_day import results
from pipeline.forecasting.same_day.counts import LUCKY, count_market, plan_counts
from pipeline.forecasting.same_day.experiments import Experiment, run_experiments
from pipeline.forecasting.same_day.grid import find_cells
from pipeline.forecasting.same_day.judgement import Trial, find_edges, judge, score_groups

NAMES = ["naive", "naive_scaled", "grid"]


@pytest.fixture(scope="module")
def daily(spark, market_files):
    return count_days(spark, market_files)


@pytest.fixture(scope="module")
def periods(daily):
    return plan_periods("2016-05-02", daily)


@pytest.fixture(scope="module")
def counted(spark, market_files, periods, daily):
    return count_market(spark, market_files, plan_counts(periods, daily, 1_000))


@pytest.fixture(scope="module")
def models(spark, counted):
    return [same_day.fit_models(NAMES, counted.learn(periods), spark) for periods in (1, 2)]


@pytest.fixture(scope="module")
def trial(counted, periods, models):
    candidates, judged = ({name: one.predict for name, one in fitted.items()} for fitted in models)
    interval, _ = intervals.calibrate_grid(counted.sum_rows(periods.ends))
    etfs = number_symbols(["S00", "S15"])
    return Trial(periods, candidates, judged, interval, find_edges(counted.sizes), etfs)


@pytest.fixture(scope="module")
def judged(spark, market_files, trial):
    return judge(spark, market_files, trial)


@pytest.fixture(scope="module")
def later(market_files, periods):
    return concatenate([read_rows(file, periods.test_day) for file in market_files])


def answer(rows, trial):
    """The grid's answer and its interval, by hand."""
    cells = find_cells(rows.vol_moving_avg, rows.adj_close_rolling_med)
    told = trial.models["grid"](rows.vol_moving_avg, rows.adj_close_rolling_med)
    low, high = trial.interval.low[cells] * rows.vol_moving_avg, trial.interval.high[cells] * rows.vol_moving_avg
    return np.rint(told), np.rint(np.minimum(low, told)), np.rint(np.maximum(high, told))


def test_all_rows_are_judged_as_by_hand(judged, trial, later):
    scores = judged.test.pool().score()
    told, low, high = answer(later, trial)
    volume = later.volume
    assert scores["grid"]["rows"] == len(later)
    assert scores["grid"]["mae"] == pytest.approx(np.abs(told - volume).mean(), rel=1e-6)
    naive = np.abs(np.rint(later.vol_moving_avg) - volume).mean()
    assert scores["grid"]["skill"] == pytest.approx(1 - np.abs(told - volume).mean() / naive, rel=1e-5)
    assert scores["grid"]["coverage"] == pytest.approx(((low <= volume) & (volume <= high)).mean(), rel=1e-6)


@pytest.mark.parametrize("level", ["kind", "decile", "year"])
def test_groups_are_those_of_the_rows(judged, trial, later, level):
    table = score_groups(judged.test, trial.groups, level, "grid")
    told, _, _ = answer(later, trial)
    groups = {
        "kind": np.where(np.isin(later.symbol, trial.etfs), "ETF", "stock"),
        "decile": 1 + np.searchsorted(trial.edges, later.vol_moving_avg, side="right"),
        "year": pd.to_datetime(later.day, unit="D").year,
    }[level]
    expected = pd.DataFrame({"error": np.abs(told - later.volume)}).groupby(groups).agg(["mean", "size"])["error"]
    assert table["rows"].to_dict() == expected["size"].to_dict()
    assert table["mae"].to_dict() == pytest.approx(expected["mean"].to_dict(), rel=1e-6)
    if level == "decile":
        assert expected["size"].max() < 0.2 * len(later)


def test_the_scores_are_the_same_from_one_task_and_from_many(spark, market_files, trial, judged, monkeypatch):
    monkeypatch.setattr(chunks, "CHUNKS", 1)
    once = judge(spark, market_files, trial)
    assert once.test.pool().score() == judged.test.pool().score()
    assert all(np.array_equal(once.weeks.of[name], judged.weeks.of[name]) for name in NAMES)


def test_experiments_are_judged_on_the_rows_that_they_name(spark, market_files, counted, periods, later):
    shares = counted.learn(2).shares
    kinds = ("all", "held out", "left over", "yesterday")
    found = run_experiments(spark, market_files, periods, [Experiment("x", shares, kind) for kind in kinds])
    luck = draw_luck(later.symbol, later.day)
    chosen = [np.full(len(later), True), is_held_out(later.symbol), luck >= LUCKY]
    for wape, inside in zip(found["naive_wape"], chosen, strict=False):
        rows = later.select(inside)
        error = np.abs(np.rint(rows.vol_moving_avg) - rows.volume).sum() / rows.volume.sum()
        assert wape == pytest.approx(error, rel=1e-6)
    assert found["naive_wape"].iloc[-1] > found["naive_wape"].iloc[0]  # today is not in its window


def test_the_summary_is_what_report_and_server_read(judged, trial, models):
    choice = choose_champion({name: judged.weeks.list("error", name) for name in NAMES})
    tried = pd.DataFrame({"trained on": ["a"], "judged on": ["b"], "skill": [0.5]})
    told = results.summarize(trial, judged, models[1], choice, tried)
    assert told["champion"] in NAMES and set(told["models"]) == set(NAMES)
    assert set(told["models"]["grid"]) == {
        *("mae", "rmse", "r2", "wape", "rmsle", "skill", "calibration_mae", "train_rows", "test_rows")
    }
    assert {"coverage", "width", "pinball", "coverage_by_size", "coverage_by_year", "test_from"} <= set(told)
    assert list(told["coverage_by_year"]) == ["2016"]
