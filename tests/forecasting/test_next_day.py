"""Next-day features look at nothing after their own day; calendars know their days; draws repeat."""

from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from small_prices import make_prices, write_part

from pipeline.errors import InputError
from pipeline.forecasting.market_rows import is_held_out
from pipeline.forecasting.next_day import features
from pipeline.forecasting.next_day import rows as next_day_rows
from pipeline.forecasting.next_day.features import NAMES, build_features
from pipeline.forecasting.next_day.folds import cut_folds
from pipeline.forecasting.next_day.habits import HABITS
from pipeline.forecasting.next_day.market import average_market, sum_market
from pipeline.forecasting.next_day.models import GROUPS, fit_next_day, measure_groups
from pipeline.forecasting.next_day.parts import read_symbol_rows
from pipeline.forecasting.next_day.plan import ROLES, make_plan
from pipeline.forecasting.next_day.rows import NextDayRows, collect_rows, select_learned
from pipeline.forecasting.next_day.survey import collect_survey
from pipeline.forecasting.next_day.symbol_rows import SymbolRows
from pipeline.forecasting.next_day.targets import find_targets, naive_answers
from pipeline.forecasting.next_day.trading_calendar import EVENTS, open_calendar

ETFS = frozenset({"S03"})
TEST, LAST = 16_400, 17_000  # first and last day of the test
ALL = (1.0, 1.0, 1.0)
COLUMNS = ("day", "volume", "close", "high", "low", "open", "raw_close", "usable")


@pytest.fixture(scope="module")
def rows(market_files):
    return read_symbol_rows(market_files[0], ETFS)[0]


def build(rows, calendar):
    market = average_market(sum_market(rows, calendar))
    return build_features(rows, market, calendar), market


@pytest.mark.parametrize("planted", [16_100, 16_600, 16_999])
def test_a_planted_future_changes_nothing_before_it(rows, calendar, planted):
    later = rows.day >= planted
    changed = replace(
        rows,
        volume=np.where(later, rows.volume * 1_000, rows.volume),
        usable=rows.usable & ~later | (rows.day % 2 == 0) & later,
        **{
            name: np.where(later, getattr(rows, name) * factor, getattr(rows, name))
            for name, factor in {"close": 50, "high": 70, "open": 3, "raw_close": 2}.items()
        },
    )
    before, market = build(rows, calendar)
    after, market_after = build(changed, calendar)
    for name in NAMES:
        assert np.array_equal(before[name][~later], after[name][~later], equal_nan=True), f"{name} sees the future"
    assert any(not np.array_equal(before[name][later], after[name][later], equal_nan=True) for name in NAMES)
    known = calendar.days < planted
    assert np.array_equal(market.abnormal[known], market_after.abnormal[known])


def test_after_a_long_pause_no_habit_sees_the_future(rows, calendar):
    """The row that lies 91 days before a target then is the one that asks, and the next one is the target itself."""
    stays = (rows.day < 15_900) | (rows.day >= 16_300)
    starts = np.concatenate([[0], np.cumsum(np.add.reduceat(stays, rows.starts[:-1]))])
    paused = replace(rows, starts=starts, **{name: getattr(rows, name)[stays] for name in COLUMNS})
    back = np.flatnonzero(np.diff(paused.day) > 300) + 1
    assert len(back) == 10
    later = paused.day > paused.day[back[0]]
    loud = replace(paused, volume=np.where(later, paused.volume * 1_000, paused.volume))
    before, after = build(paused, calendar)[0], build(loud, calendar)[0]
    for name in HABITS:
        assert np.array_equal(before[name][back], after[name][back], equal_nan=True), f"{name} sees the future"


def test_a_symbol_sees_nothing_of_its_neighbour(rows, calendar):
    _, market = build(rows, calendar)
    together = build_features(rows, market, calendar)
    start, end = rows.starts[4], rows.starts[5]
    alone = SymbolRows(
        np.array([0, end - start]), rows.etf[4:5], rows.key[4:5], *(getattr(rows, name)[start:end] for name in COLUMNS)
    )
    for name, column in build_features(alone, market, calendar).items():
        assert np.allclose(column, together[name][start:end], rtol=1e-3, atol=1e-4, equal_nan=True), name


def test_chosen_symbols_have_the_features_that_they_have_among_all(rows, calendar):
    together, market = build(rows, calendar)
    few = np.arange(10) % 3 == 1
    stays = np.repeat(few, np.diff(rows.starts))
    some = rows.select_symbols(few)
    assert np.array_equal(some.symbol, rows.symbol[stays])
    for name, column in build_features(some, market, calendar).items():
        assert np.allclose(column, together[name][stays], rtol=1e-3, atol=1e-4, equal_nan=True), name


def test_a_part_may_hold_none_of_the_symbols(rows, calendar):
    _, market = build(rows, calendar)
    none = rows.select_symbols(np.zeros(10, bool))
    assert len(find_targets(none, calendar)) == 0
    assert {len(column) for column in build_features(none, market, calendar).values()} == {0}
    assert {len(answer) for answer in naive_answers(none).values()} == {0}


def test_chosen_rows_have_the_features_that_they_have_among_all(rows, calendar):
    together, market = build(rows, calendar)
    chosen = np.array([3, 500, 501, 1_700, len(rows.day) - 1])
    for name, column in build_features(rows, market, calendar, chosen).items():
        assert np.array_equal(column, together[name][chosen], equal_nan=True), name


def test_features_are_the_same_for_any_number_of_symbols_at_a_time(rows, calendar, monkeypatch):
    together, market = build(rows, calendar)
    chosen = np.array([3, 500, 4_600, 4_601, len(rows.day) - 1])
    monkeypatch.setattr(features, "AT_ONCE", 2_000)  # rows: two or three symbols, some without a chosen row
    for name, column in build_features(rows, market, calendar, chosen).items():
        assert np.array_equal(column, together[name][chosen], equal_nan=True), name


def test_a_symbol_of_less_than_a_year_that_comes_alone_has_features(rows, calendar):
    together, market = build(rows, calendar)
    short = SymbolRows(np.array([0, 200]), rows.etf[:1], rows.key[:1], *(column[:200] for column in rows.columns))
    alone = build_features(short, market, calendar, np.arange(200))
    assert np.isnan(alone["year_ago"]).all() and not np.isnan(alone["quarter_ago"][100:]).any()
    for name, column in alone.items():
        assert np.array_equal(column, together[name][:200], equal_nan=True), name


def test_features_match_their_formulas(rows, calendar):
    features, _ = build(rows, calendar)
    start, end = rows.starts[2], rows.starts[3]
    own = {name: column[start:end] for name, column in features.items()}
    log = pd.Series(np.log1p(rows.volume[start:end]))
    base = log.rolling(22).mean()
    assert np.allclose(own["base"], base, equal_nan=True)
    assert np.allclose(own["lag_3"], log.shift(2) - base, atol=1e-5, equal_nan=True)
    assert np.allclose(own["abnormal"], log - base.shift(1), atol=1e-5, equal_nan=True)
    peak = (log - base.shift(1)).rolling(5).max()
    assert np.allclose(own["quarter_ago"][200:], peak.shift(60)[200:], atol=1e-5)
    close, first = pd.Series(rows.raw_close[start:end]), pd.Series(rows.open[start:end])
    low, high = pd.Series(rows.low[start:end]), pd.Series(rows.high[start:end])
    change = np.log(pd.Series(rows.close[start:end])).diff()
    assert np.allclose(own["return_5"], change.rolling(5).sum(), atol=1e-5, equal_nan=True)
    assert np.allclose(own["return_22"], change.rolling(22).sum(), atol=1e-5, equal_nan=True)
    assert np.allclose(own["close_in_range"], (close - low) / (high - low), atol=1e-5)
    assert np.allclose(own["overnight"], np.abs(change - np.log(close / first)), atol=1e-5, equal_nan=True)
    swing = np.sqrt((change**2).rolling(22).mean().shift(1))
    assert np.allclose(own["move"], np.log1p((change.abs() / swing).clip(upper=100)), atol=1e-4, equal_nan=True)
    height = np.log(high / low) + 1e-4
    ratio = np.log(height / height.rolling(22).mean().shift(1))
    assert np.allclose(own["range_ratio"], ratio, atol=1e-4, equal_nan=True)


def test_habits_match_their_formulas(rows, calendar):
    features, market = build(rows, calendar)
    start, end = rows.starts[2], rows.starts[3]
    own = {name: column[start:end] for name, column in features.items()}
    session = calendar.find_session(rows.day[start:end])
    weekday, event = calendar.effects["weekday"], calendar.events
    abnormal = own["abnormal"].astype(float)
    for place in (400, 650, 899):
        seen = slice(max(0, place + 1 - 756), place + 1)
        same = (weekday[session[seen]] == weekday[session[place] + 1]) & np.isfinite(abnormal[seen])
        habit = abnormal[seen][same].clip(-3, 3).sum() / (same.sum() + 10)
        assert own["own_weekday"][place] == pytest.approx(habit, abs=1e-4)
        peak = np.argmax(own["own_less_market"][place - 65 : place + 1])
        assert own["peak_ago"][place] == 65 - peak
        assert own["peak_size"][place] == own["own_less_market"][place - 65 + peak]
        target = calendar.days[session[place] + 1]
        assert own["peak_days"][place] == target - rows.day[start + place - 65 + peak]
        for days in (91, 182, 273, 364):
            then = np.searchsorted(rows.day[start:end], target - days)
            assert own[f"report_{days}"][place] == abnormal[then - 1 : then + 2].max()
    expiries = np.flatnonzero(event[session + 1] == EVENTS.index("expiry"))
    (*_, before, last) = expiries
    same = (event[session[: last + 1]] == EVENTS.index("expiry")) & np.isfinite(abnormal[: last + 1])
    assert own["own_event"][last] == pytest.approx(abnormal[: last + 1][same].sum() / (same.sum() + 2), abs=1e-4)
    assert own["market_event"][last] == pytest.approx(market.abnormal[session[before] + 1], abs=1e-6)
    usual = event[session + 1] == 0
    assert not own["own_event"][usual].any() and np.isnan(own["market_event"][usual]).all()


def test_each_feature_is_in_one_group():
    assert sorted(name for names in GROUPS.values() for name in names) == sorted(NAMES)


def test_the_target_is_the_next_session_and_nothing_else(rows, calendar):
    targets = find_targets(rows, calendar)
    known = targets >= 0
    sessions = calendar.find_session(rows.day)
    assert known.sum() == len(rows.starts[:-1]) * 877  # 900 rows less a month and the last
    assert (sessions[targets[known]] == sessions[known] + 1).all()
    gap = replace(rows, usable=rows.day != rows.day[500])
    assert not (find_targets(gap, calendar)[[499, 500]] >= 0).any()


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


def survey_and_plan(spark, files, calendar, test_day=TEST, folds=3, refit=False):
    survey = collect_survey(spark, files, ETFS, calendar, test_day)
    return survey, *make_plan(survey.rows, calendar.days, test_day, folds, refit)


def test_folds_keep_symbols_and_years_apart(spark, market_files, calendar):
    survey, plan, counts = survey_and_plan(spark, market_files, calendar)
    plan = replace(plan, shares=ALL)
    assert plan.hold_out and [fold.test_day for fold in plan.folds] == [TEST, TEST + 365]
    assert plan.folds[-1].end_day == LAST + 1
    drawn = collect_rows(spark, market_files, ETFS, calendar, survey.market, plan)
    for fold in plan.folds:
        learned = select_learned(drawn["learn"], plan, fold)
        assert len(learned) > 0 and learned.day.max() < fold.test_day
        assert not is_held_out(learned.symbol).any()
    assert len(select_learned(drawn["learn"], plan, plan.folds[0])) == counts[0]
    assert len(select_learned(drawn["learn"], plan, plan.folds[1])) == len(drawn["learn"])
    first = plan.folds[0].calibrates(drawn["calibrate"].day)
    assert first.sum() == counts[1] and is_held_out(drawn["calibrate"].symbol).all()
    assert drawn["calibrate"].day.max() < plan.folds[-1].test_day
    assert len(drawn["show"]) == counts[2] and drawn["show"].day.min() >= TEST


def test_a_refit_learns_from_all_symbols_and_days(spark, market_files, calendar):
    survey, plan, _ = survey_and_plan(spark, market_files, calendar, refit=True)
    drawn = collect_rows(spark, market_files, ETFS, calendar, survey.market, replace(plan, shares=ALL))
    assert len(drawn["learn"]) == survey.rows.sum() and drawn["learn"].day.max() == LAST
    for fold in plan.folds:  # the same rows come first, whatever comes after them
        learned = select_learned(drawn["learn"], plan, fold)
        assert learned.day.max() < fold.test_day and not is_held_out(learned.symbol).any()
    assert drawn["calibrate"].day.max() == LAST


def test_too_few_symbols_are_all_learned_from_and_judged_on_later_days(spark, tmp_path, calendar):
    file = write_part(tmp_path, make_prices(calendar, ["AAPL"], 1))
    survey, plan, counts = survey_and_plan(spark, [file], calendar)
    assert not plan.hold_out
    drawn = collect_rows(spark, [file], ETFS, calendar, survey.market, replace(plan, shares=ALL))
    for fold in plan.folds:
        learned = select_learned(drawn["learn"], plan, fold)
        assert learned.day.max() < fold.calibration_day
        assert fold.calibrates(drawn["calibrate"].day).sum() > 200
    assert len(select_learned(drawn["learn"], plan, plan.folds[0])) == counts[0]


def test_a_test_is_cut_at_whole_years():
    folds = cut_folds(0, 365 * 4, 3)
    assert [fold.test_day for fold in folds] == [0, 365, 730] and folds[-1].end_day == 365 * 4 + 1
    assert [fold.end_day for fold in folds[:-1]] == [fold.test_day for fold in folds[1:]]
    leap = cut_folds(14_610, 17_896, 3)  # nine years from 2010-01-01
    assert [fold.name for fold in leap] == [
        "2010-01-01 to 2012-12-31",
        "2013-01-01 to 2015-12-31",
        "2016-01-01 to 2018-12-31",
    ]
    (only,) = cut_folds(0, 100, 3)
    assert (only.calibration_day, only.test_day, only.end_day) == (-365, 0, 101)


def test_a_fold_that_nothing_calibrates_is_not_made(calendar):
    """Nobody traded for two years of the test: of two folds one would have no year before it."""
    counts = np.zeros((2, len(calendar.days)), np.int64)
    counts[:, (calendar.days > 15_000) & (calendar.days < 15_900)] = 5
    counts[:, (calendar.days > 16_800) & (calendar.days <= LAST)] = 5
    plan, _ = make_plan(counts, calendar.days, 15_700, 3, False)
    assert plan.hold_out and len(plan.folds) == 1


def test_days_that_are_no_sessions_teach_nothing_and_that_is_told(spark, tmp_path, calendar):
    prices = make_prices(calendar, ["A", "B"], 1)
    saturdays = pa.array(np.tile(16_004 - 7 * np.arange(900)[::-1], 2).astype(np.int32)).cast(pa.date32())
    file = write_part(tmp_path, prices.set_column(2, prices.schema.field("Date"), saturdays))
    survey = collect_survey(spark, [file], ETFS, calendar, TEST)
    assert not survey.market.abnormal.any()
    with pytest.raises(InputError, match=r"0 to learn from, 0 to calibrate on, 0 to test on .* NEXT_DAY=false"):
        make_plan(survey.rows, calendar.days, TEST, 3, False)


def test_tenths_hold_a_tenth_each(spark, market_files, calendar):
    survey, plan, _ = survey_and_plan(spark, market_files, calendar)
    drawn = collect_rows(spark, market_files, ETFS, calendar, survey.market, replace(plan, shares=ALL))
    for name, edges in survey.find_edges(plan.hold_out).items():
        values = drawn["show"].inputs[:, NAMES.index(name)]
        shares = np.bincount(np.searchsorted(edges, values, side="right"), minlength=10) / len(values)
        assert shares.min() > 0.05 and shares.max() < 0.16, name


@pytest.mark.parametrize("last", ["1678-01-01", "2261-12-31"])
def test_a_day_may_lie_beyond_all_calendars(last):
    day = (date.fromisoformat(last) - date(1970, 1, 1)).days
    calendar = open_calendar(day)
    assert len(calendar.days) > 250
    assert calendar.find_session(np.array([day])) == [-1]


def test_a_model_without_an_error_depends_on_nothing(rows):
    size = len(NAMES)
    flat = NextDayRows(np.zeros((9, size), np.float32), np.zeros(9, np.int64), np.arange(9), np.zeros(9))
    model = fit_next_day("linear", flat)
    assert set(measure_groups(model, flat).values()) == {0.0}


def test_a_draw_repeats_whatever_the_order_of_parts(spark, market_files, calendar, monkeypatch):
    survey, plan, _ = survey_and_plan(spark, market_files, calendar)
    plan = plan.draw_at_most(2_000, survey.rows, calendar.days)
    forth = collect_rows(spark, market_files, ETFS, calendar, survey.market, plan)
    monkeypatch.setattr(next_day_rows, "PARTS_AT_ONCE", 2)
    back = collect_rows(spark, market_files[::-1], ETFS, calendar, survey.market, plan)
    assert 1_800 < len(forth["learn"]) < 2_200
    for name in ROLES:
        assert len(forth[name]) > 0
        assert np.array_equal(forth[name].inputs, back[name].inputs, equal_nan=True)
        assert np.array_equal(forth[name].target, back[name].target)
        places = np.lexsort((forth[name].symbol, forth[name].day, is_held_out(forth[name].symbol)))
        assert np.array_equal(places, np.arange(len(places))), "a fold would learn from later days"


def test_a_model_learns_what_can_be_learned(spark, market_files, calendar, rows):
    """Here volumes jump at random around a level: the mean of a month beats the last days."""
    survey, plan, _ = survey_and_plan(spark, market_files, calendar)
    drawn = collect_rows(spark, market_files, ETFS, calendar, survey.market, replace(plan, shares=ALL))
    test = drawn["show"]
    learned = select_learned(drawn["learn"], plan, plan.folds[0])
    naive = np.abs(fit_next_day("naive", learned).forecast(test.inputs) - test.target).mean()
    for name in ("linear", "hist_gradient_boosting", "xgboost"):
        model = fit_next_day(name, learned)
        assert np.abs(model.forecast(test.inputs) - test.target).mean() < 0.97 * naive


def test_the_naive_model_gives_the_naive_answer(rows, calendar):
    features, _ = build(rows, calendar)
    inputs = np.column_stack(list(features.values()))[100:900]
    told = fit_next_day("naive", NextDayRows(inputs, rows.symbol[:800], rows.day[:800], np.ones(800))).forecast(inputs)
    assert np.allclose(told, naive_answers(rows)["naive"][100:900], rtol=1e-4)
