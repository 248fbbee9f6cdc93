"""Walking forward over a small market: what learns, what judges, and that sums by task are those of the rows."""

import json
from dataclasses import fields, replace

import numpy as np
import pytest
from small_prices import LAST_DAY, make_prices, write_part

from pipeline.forecasting import evaluation
from pipeline.forecasting.champion import Choice
from pipeline.forecasting.market_rows import is_held_out, number_symbols
from pipeline.forecasting.next_day import results
from pipeline.forecasting.next_day.bands import METHODS
from pipeline.forecasting.next_day.features import NAMES
from pipeline.forecasting.next_day.forecasts import answer_rows, collect_past_rows, unpack_inputs
from pipeline.forecasting.next_day.judgement import forecast_all, judge_folds
from pipeline.forecasting.next_day.models import fit_next_day
from pipeline.forecasting.next_day.plan import make_plan
from pipeline.forecasting.next_day.rows import collect_rows, select_learned
from pipeline.forecasting.next_day.survey import collect_survey
from pipeline.forecasting.next_day.walk import add_weekly_errors, enter, fit_published, select_calibration, walk_forward

TEST = 16_300


def walk(spark, files, calendar, test_day, names=("naive", "linear")):
    """Everything that the notebook makes of a market."""
    survey = collect_survey(spark, files, frozenset(), calendar, test_day)
    plan, _ = make_plan(survey.rows, calendar.days, test_day, 2, True)
    plan = replace(plan, shares=(1.0, 1.0, 1.0))
    drawn = collect_rows(spark, files, frozenset(), calendar, survey.market, plan)
    steps = list(walk_forward(drawn, plan, names, "cpu"))
    contestants = [enter(step, drawn, "linear", METHODS) for step in steps]
    edges = survey.find_edges(plan.hold_out)
    judged = judge_folds(spark, files, frozenset(), calendar, survey.market, plan, contestants, edges)
    return survey, plan, drawn, steps, contestants, judged


@pytest.fixture(scope="module")
def walked(spark, market_files, calendar):
    return walk(spark, market_files, calendar, TEST)


def test_sums_of_tasks_are_the_scores_of_all_rows_of_the_test(walked):
    _, _, drawn, _, contestants, judged = walked
    shown = drawn["show"]  # here all rows of the test
    told = np.full(len(shown), np.nan)
    inside = np.zeros(len(shown), bool)
    for one in contestants:
        asked = one.fold.tests(shown.day)
        inputs = shown.inputs[asked]
        told[asked] = one.models["linear"].forecast(inputs)
        outlook = one.bands["quantile trees"].apply(inputs, told[asked])
        low, high = np.rint(outlook.low), np.rint(outlook.high)
        inside[asked] = (low <= shown.target[asked]) & (shown.target[asked] <= high)
    scores = judged.score()
    served = np.rint(np.maximum(told, 0))
    error = served - shown.target
    expected = {
        "mae": np.abs(error).mean(),
        "rmse": np.sqrt(np.square(error).mean()),
        "r2": 1 - np.square(error).sum() / np.square(shown.target - shown.target.mean()).sum(),
        "wape": np.abs(error).sum() / shown.target.sum(),
        "rmsle": np.sqrt(np.square(np.log1p(served) - np.log1p(shown.target)).mean()),
    }
    for name, value in expected.items():
        assert scores["linear"][name] == pytest.approx(value, rel=1e-5), name
    assert scores["linear"]["rows"] == len(shown)
    assert scores["quantile trees"]["coverage"] == pytest.approx(inside.mean(), abs=1e-6)
    years = evaluation.find_years(shown.day)
    by_year = judged.score_by("year")
    assert list(by_year) == [str(year) for year in np.unique(years)]
    for year, found in by_year.items():
        assert found["quantile trees"]["coverage"] == pytest.approx(inside[years == int(year)].mean(), abs=1e-6)


def test_a_part_may_have_no_row_in_a_stretch(walked):
    contestants = walked[4]
    day = np.full(3, contestants[0].fold.test_day)  # all in the first stretch
    inputs = walked[2]["show"].inputs[:3]
    forecasts, _ = forecast_all(contestants, inputs, day)
    assert not np.isnan(forecasts["linear"]).any()
    nothing, _ = forecast_all(contestants, inputs[:0], day[:0])
    assert len(nothing["linear"]) == 0


def test_every_cut_has_every_row_once(walked):
    *_, judged = walked
    rows = judged.score()["naive"]["rows"]
    for cut in ("size", "spread", "year"):
        assert sum(scores["naive"]["rows"] for scores in judged.score_by(cut).values()) == rows
    assert list(judged.score_by("size")) == [str(tenth) for tenth in range(1, 11)]
    papers = judged.score_as_papers_do()
    assert papers["all days"]["naive"]["rows"] == papers["days with trade"]["naive"]["rows"] == rows
    assert "days without" not in papers  # every symbol trades on every day here


def test_the_papers_number_is_that_of_its_formula(walked):
    """1 less the sum of squared errors by the sum of squares of log volume less the mean of its last five."""
    _, plan, drawn, _, contestants, judged = walked
    shown = drawn["show"]
    mean_of_5 = shown.base + shown.inputs[:, NAMES.index("mean_5")]
    told = np.concatenate([np.log1p(np.rint(answer)) for answer in forecast_in_order(contestants, shown)])
    target = np.log1p(shown.target)
    r2 = 1 - np.square(target - told).sum() / np.square(target - mean_of_5).sum()
    assert results.summarize(plan, judged, Choice("linear", "linear", ()), "size")["log_r2"][
        "all days"
    ] == pytest.approx(r2, abs=1e-3)


def forecast_in_order(contestants, rows):
    """Rows are sorted by day, so those of the folds follow each other."""
    assert (np.diff(rows.day) >= 0).all()
    for one in contestants:
        yield one.models["linear"].forecast(rows.inputs[one.fold.tests(rows.day)])


def test_the_champion_is_chosen_on_weeks_of_strangers_before_the_test(walked):
    _, plan, drawn, steps, *_ = walked
    before = select_calibration(drawn, plan.folds[0])
    assert before.day.max() < TEST and is_held_out(before.symbol).all()
    weekly = add_weekly_errors(steps[0].models, before)
    assert {len(sums) for sums in weekly.values()} == {len(np.unique((before.day + 3) // 7))}
    told = np.abs(np.rint(steps[0].models["linear"].forecast(before.inputs)) - before.target)
    assert weekly["linear"].sum() == pytest.approx(told.sum())


def test_what_is_published_has_learned_from_all_days_and_keeps_honest_bands(walked):
    survey, plan, drawn, steps, *_ = walked
    model, bands = fit_published(drawn, plan, steps[-1], "linear", "quantile trees", "cpu")
    assert model.train_rows == survey.rows.sum() > steps[-1].models["linear"].train_rows
    told = steps[-1].models["linear"].forecast
    latest = select_calibration(drawn, plan.latest)
    assert latest.day.max() == LAST_DAY
    again = steps[-1].calibrate("linear", ["quantile trees"], latest)["quantile trees"]
    assert np.array_equal(bands.steps, again.steps) and bands.scale is not again.scale
    kept, kept_bands = fit_published(drawn, replace(plan, refit=False), steps[-1], "linear", "size", "cpu")
    assert kept.forecast(latest.inputs) == pytest.approx(told(latest.inputs))
    assert kept_bands.method == "size"


def test_what_is_published_grows_as_many_trees_as_what_was_judged(walked, monkeypatch):
    """All rows may be many where those of the first fold are few."""
    _, plan, drawn, steps, *_ = walked
    few = len(select_learned(drawn["learn"], plan, plan.folds[0]))
    monkeypatch.setattr("pipeline.forecasting.next_day.walk.MANY", few)
    assert few < len(drawn["learn"])
    last = replace(steps[-1], models={"xgboost": steps[-1].models["linear"]})
    model, _ = fit_published(drawn, plan, last, "xgboost", "size", "cpu")
    asked = drawn["show"].inputs
    assert np.array_equal(model.predict(asked), fit_next_day("xgboost", drawn["learn"], many=False).predict(asked))


def test_past_days_of_a_symbol_can_be_forecast_again(spark, walked, market_files, calendar):
    """What the pictures and a replay need: what was known on the evening before, and what came."""
    survey, _, drawn, _, contestants, _ = walked
    past = collect_past_rows(
        spark, market_files, frozenset(), calendar, survey.market, (TEST, LAST_DAY + 1), ["S13", "S07"]
    )
    assert set(past["symbol"].to_pylist()) == {"S13", "S07"}
    days = past["day"].to_numpy()
    assert days.min() >= TEST and days.max() == LAST_DAY
    told = answer_rows(unpack_inputs(past), contestants[0].models["linear"], contestants[0].bands["size"])
    assert (told.low <= told.volume).all() and (told.volume <= told.high).all() and len(told.volume) == len(past)
    both = {
        (symbol, day): target
        for symbol, day, target in zip(drawn["learn"].symbol, drawn["learn"].day, drawn["learn"].target, strict=True)
    }
    keys = number_symbols(past["symbol"].to_pylist())
    assert past["volume"].to_pylist() == [both[key, day] for key, day in zip(keys, days, strict=True)]


@pytest.mark.parametrize(
    ("names", "rows", "spread"),
    [([f"S{number:02}" for number in range(20)], 260, 0.5), (["SPY"], 700, 0.0), (["AAPL", "MSFT"], 600, 0.5)],
    ids=["twenty symbols of a year", "a fund whose volume never changes", "two symbols, none held out"],
)
def test_small_markets_can_be_walked_as_well(spark, tmp_path, calendar, names, rows, spread):
    file = write_part(tmp_path, make_prices(calendar, names, 3, rows=rows, spread=spread))
    _, plan, drawn, steps, _, judged = walk(
        spark, [file], calendar, LAST_DAY - 60, ["naive", "linear", "xgboost", "hist_gradient_boosting"]
    )
    assert plan.hold_out == (len(names) == 20)
    told = results.summarize(plan, judged, Choice("linear", "linear", ()), "quantile trees")
    told["models"] = results.list_models(judged, steps, select_calibration(drawn, plan.folds[0]))
    assert list(told["models"])[:4] == ["naive", "mean_of_5", "mean_of_30", "yesterday"]
    assert told["models"]["xgboost"]["train_rows"] == steps[-1].models["xgboost"].train_rows
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert len(results.show_models(judged, told["models"])) == len(told["models"])
    assert len(results.show_papers_r2(judged, ["linear"])) and len(results.show_bands(judged, METHODS)) == 3
    assert all(sentence.startswith("ok: ") for sentence in results.conclude(judged, "linear", "quantile trees"))
    model, bands = fit_published(drawn, plan, steps[-1], "xgboost", "quantile trees", "cpu")
    answers = answer_rows(drawn["learn"].inputs, model, bands)
    assert all(np.isfinite(getattr(answers, field.name)).all() for field in fields(answers))
    assert (np.diff(answers.quantiles, axis=1) >= 0).all()
