"""Next-day features look at nothing after their own day; calendars know their days; draws repeat."""

from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from small_prices import make_prices, write_part

from pipeline.errors import InputError
from pipeline.forecasting.next_day import features as next_day
from pipeline.forecasting.next_day.features import NAMES
from pipeline.forecasting.next_day.market import collect_market
from pipeline.forecasting.next_day.models import fit_next_day, measure_groups
from pipeline.forecasting.next_day.parts import read_symbol_rows
from pipeline.forecasting.next_day.plan import PERIODS, Plan
from pipeline.forecasting.next_day.rows import NextDayRows, collect_rows
from pipeline.forecasting.next_day.trading_calendar import open_calendar

ETFS = frozenset({"S03"})
SPLIT = 16_400, 16_700  # calibration and test day


@pytest.fixture(scope="module")
def rows(market_files):
    return read_symbol_rows(market_files[0], ETFS)[0]


def build(rows, calendar):
    market = next_day.average_market(next_day.sum_market(rows, calendar))
    return next_day.build_features(rows, market, calendar), market


def test_a_planted_future_changes_nothing_before_it(rows, calendar):
    planted = 16_600
    later = rows.day >= planted
    changed = replace(
        rows,
        volume=np.where(later, rows.volume * 1_000, rows.volume),
        close=np.where(later, rows.close * 50, rows.close),
        high=np.where(later, rows.high * 70, rows.high),
        usable=rows.usable & ~later | (rows.day % 2 == 0) & later,
    )
    before, market = build(rows, calendar)
    after, market_after = build(changed, calendar)
    for name in NAMES:
        assert np.array_equal(before[name][~later], after[name][~later], equal_nan=True), f"{name} sees the future"
    assert any(not np.array_equal(before[name][later], after[name][later], equal_nan=True) for name in NAMES)
    known = calendar.days < planted
    assert np.array_equal(market.abnormal[known], market_after.abnormal[known])


def test_a_symbol_sees_nothing_of_its_neighbour(rows, calendar):
    _, market = build(rows, calendar)
    together = next_day.build_features(rows, market, calendar)
    start, end = rows.starts[4], rows.starts[5]
    alone = next_day.SymbolRows(
        np.array([0, end - start]),
        rows.etf[4:5],
        rows.key[4:5],
        *(getattr(rows, name)[start:end] for name in ("day", "volume", "close", "high", "low", "usable")),
    )
    for name, column in next_day.build_features(alone, market, calendar).items():
        assert np.allclose(column, together[name][start:end], rtol=1e-3, atol=1e-4, equal_nan=True), name


def test_features_match_their_formulas(rows, calendar):
    features, _ = build(rows, calendar)
    start, end = rows.starts[2], rows.starts[3]
    log = pd.Series(np.log1p(rows.volume[start:end]))
    base = log.rolling(22).mean()
    assert np.allclose(features["base"][start:end], base, equal_nan=True)
    assert np.allclose(features["lag_3"][start:end], log.shift(2) - base, atol=1e-5, equal_nan=True)
    assert np.allclose(features["abnormal"][start:end], log - base.shift(1), atol=1e-5, equal_nan=True)
    peak = (log - base.shift(1)).rolling(5).max()
    assert np.allclose(features["quarter_ago"][start:end][200:], peak.shift(60)[200:], atol=1e-5)


def test_the_target_is_the_next_session_and_nothing_else(rows, calendar):
    targets = next_day.find_targets(rows, calendar)
    known = targets >= 0
    sessions = calendar.find_session(rows.day)
    assert known.sum() == len(rows.starts[:-1]) * 877  # 900 rows less a month and the last
    assert (sessions[targets[known]] == sessions[known] + 1).all()
    gap = replace(rows, usable=rows.day != rows.day[500])
    assert not (next_day.find_targets(gap, calendar)[[499, 500]] >= 0).any()


def test_the_calendar_knows_its_days(calendar):
    def effect(name: str, day: str) -> float:
        place = calendar.find_session(np.array([(pd.Timestamp(day) - pd.Timestamp(0)).days]))[0]
        assert place >= 0, f"{day} is a session"
        return float(calendar.effects[name][place])

    assert effect("half_day", "2015-11-27") == 1  # the day after Thanksgiving
    assert effect("quarterly_expiry", "2016-03-18") == 1
    assert effect("expiry", "2016-03-18") == 1 and effect("quarterly_expiry", "2016-04-15") == 0
    assert effect("expiry", "2014-04-17") == 1  # that Friday was Good Friday
    assert effect("russell", "2015-06-26") == 1
    assert effect("msci", "2015-11-30") == 1
    assert effect("gap_after", "2015-12-24") == 4
    assert effect("to_month_end", "2016-01-29") == 0
    assert calendar.find_session(np.array([(pd.Timestamp("2015-07-03") - pd.Timestamp(0)).days]))[0] == -1


def test_periods_keep_symbols_and_years_apart(spark, market_files, calendar):
    plan = Plan(*SPLIT, shares=(1.0, 1.0, 1.0))
    market, counts = collect_market(spark, market_files, ETFS, calendar, plan)
    drawn = collect_rows(spark, market_files, ETFS, calendar, market, plan)
    chosen, counts = plan.choose_symbols(counts)
    assert chosen == plan
    assert [len(drawn[name]) for name in PERIODS] == counts.tolist()
    assert drawn["train"].day.max() < SPLIT[0] <= drawn["calibration"].day.min()
    assert drawn["calibration"].day.max() < SPLIT[1] <= drawn["test"].day.min()
    assert not set(drawn["train"].symbol) & set(drawn["test"].symbol)


def test_too_few_symbols_are_all_trained_on_and_judged_on_later_days(spark, tmp_path, calendar):
    file = write_part(tmp_path, make_prices(calendar, ["AAPL"], 1))
    plan = Plan(*SPLIT, shares=(1.0, 1.0, 1.0))
    market, counts = collect_market(spark, [file], ETFS, calendar, plan)
    plan, counts = plan.choose_symbols(counts)
    assert not plan.hold_out
    drawn = collect_rows(spark, [file], ETFS, calendar, market, plan)
    assert [len(drawn[name]) for name in PERIODS] == counts.tolist() and counts.sum() == 877
    assert drawn["train"].day.max() < SPLIT[0] <= drawn["calibration"].day.min()


def test_days_that_are_no_sessions_teach_nothing_and_that_is_told(spark, tmp_path, calendar):
    prices = make_prices(calendar, ["A", "B"], 1)
    saturdays = pa.array(np.tile(16_004 - 7 * np.arange(900)[::-1], 2).astype(np.int32)).cast(pa.date32())
    file = write_part(tmp_path, prices.set_column(2, prices.schema.field("Date"), saturdays))
    market, counts = collect_market(spark, [file], ETFS, calendar, Plan(*SPLIT))
    assert not market.abnormal.any()
    with pytest.raises(InputError, match=r"0 to train on, 0 to calibrate on, 0 to test on .* NEXT_DAY=false"):
        Plan(*SPLIT).choose_symbols(counts)


@pytest.mark.parametrize("last", ["1678-01-01", "2261-12-31"])
def test_a_day_may_lie_beyond_all_calendars(last):
    day = (date.fromisoformat(last) - date(1970, 1, 1)).days
    calendar = open_calendar(day)
    assert len(calendar.days) > 250
    assert calendar.find_session(np.array([day])) == [-1]


def test_a_model_without_an_error_depends_on_nothing(rows):
    size = len(NAMES)
    flat = NextDayRows(np.zeros((9, size), np.float32), np.zeros(9, np.int64), np.arange(9), np.zeros(9), {})
    model = fit_next_day("linear", flat)
    assert set(measure_groups(model, flat).values()) == {0.0}


def test_a_draw_repeats_whatever_the_order_of_parts(spark, market_files, calendar):
    plan = Plan(*SPLIT).draw_at_most(2_000, np.array([9_000, 3_000, 3_000]))
    market, _ = collect_market(spark, market_files, ETFS, calendar, plan)
    forth, back = (
        collect_rows(spark, files, ETFS, calendar, market, plan) for files in (market_files, market_files[::-1])
    )
    for name in PERIODS:
        assert len(forth[name]) > 0
        assert np.array_equal(forth[name].inputs, back[name].inputs, equal_nan=True)
        assert np.array_equal(forth[name].target, back[name].target)


def test_a_model_learns_what_can_be_learned(spark, market_files, calendar):
    """Here volumes jump at random around a level: the mean of a month beats the last days."""
    plan = Plan(*SPLIT, shares=(1.0, 1.0, 1.0))
    market, _ = collect_market(spark, market_files, ETFS, calendar, plan)
    drawn = collect_rows(spark, market_files, ETFS, calendar, market, plan)
    test = drawn["test"]
    naive = np.abs(test.naive["naive"] - test.target).mean()
    for name in ("linear", "hist_gradient_boosting"):
        model = fit_next_day(name, drawn["train"])
        assert np.abs(model.forecast(test.inputs) - test.target).mean() < 0.97 * naive
