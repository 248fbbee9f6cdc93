"""What models of the same day learn from is counted right, wherever the rows lie and however they are cut."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from pipeline.forecasting import chunks
from pipeline.forecasting.days import count_days
from pipeline.forecasting.market_rows import choose_example, concatenate, is_held_out, read_rows, read_symbol
from pipeline.forecasting.periods import plan_periods
from pipeline.forecasting.same_day import grid
from pipeline.forecasting.same_day.counts import FADING, LUCKY, SHARES_UNIT, SIZE_EDGES, count_market, plan_counts

TEST_FROM = "2016-05-02"


@pytest.fixture(scope="module")
def daily(spark, market_files):
    return count_days(spark, market_files)


@pytest.fixture(scope="module")
def periods(daily):
    return plan_periods(TEST_FROM, daily)


@pytest.fixture(scope="module")
def counted(spark, market_files, periods, daily):
    return count_market(spark, market_files, plan_counts(periods, daily, 5_000))


@pytest.fixture(scope="module")
def rows(market_files):
    return concatenate([read_rows(file) for file in market_files])


def test_days_are_counted_as_pandas_counts_them(market_files, daily):
    table = pd.concat(pq.read_table(file).to_pandas() for file in market_files)
    full = table["vol_moving_avg"].notna()
    expected = table.groupby(["Date", np.where(full, "used", "no features yet")]).size()
    found = daily.set_index(["Date", "state"])["rows"]
    assert found.to_dict() == expected.to_dict()
    assert daily["traded"].sum() == (table["vol_moving_avg"] >= 1).sum()


def test_each_row_is_counted_once_in_its_period(counted, periods, rows):
    held = is_held_out(rows.symbol)
    counts = counted.sum_rows([periods.calibration_day, periods.test_day, periods.test_day + 10_000])
    ends = np.searchsorted([periods.calibration_day, periods.test_day], rows.day, side="right")
    assert counts.sum(axis=(1, 2, 3)).tolist() == np.bincount(ends).tolist() == [m.rows for m in counted.moments]
    early = ~held & (ends < 2)
    assert counted.sum_shares(end=periods.test_day, marked=(0,)).sum() == pytest.approx(
        faded(rows.select(early), periods).sum(), rel=1e-6
    )
    assert counted.sizes.sum() == (ends == 2).sum()
    level = rows.vol_moving_avg[ends == 2]
    assert np.array_equal(np.cumsum(counted.sizes)[:-1], (level[None] < SIZE_EDGES[:, None]).sum(axis=1))


def faded(rows, periods) -> np.ndarray:
    return rows.vol_moving_avg * SHARES_UNIT * FADING ** ((periods.test_day - rows.day) // 365)


def test_a_cell_holds_its_ratios_and_an_older_year_weighs_less(counted, periods, rows):
    chosen = rows.select((rows.day >= periods.calibration_day) & (rows.day < periods.test_day))
    cells = grid.find_cells(chosen.vol_moving_avg, chosen.adj_close_rolling_med)
    shares = counted.sum_shares(periods.calibration_day, periods.test_day)
    volume, price = cells[0][0], cells[1][0]
    here = (cells[0] == volume) & (cells[1] == price)
    bins = grid.find_bins(chosen.volume[here] / chosen.vol_moving_avg[here])
    expected = np.bincount(bins, faded(chosen, periods)[here], minlength=grid.BINS)
    assert shares[volume, price] == pytest.approx(expected, abs=len(bins))


def test_a_random_split_and_the_window_of_yesterday_are_counted_apart(counted, periods, rows):
    lucky, others = (counted.sum_shares(periods.test_day, marked=(mark,)).sum() for mark in (1, 0))
    assert lucky / (lucky + others) == pytest.approx(LUCKY, abs=0.05)
    before = rows.without_today()
    before = before.select((before.day >= periods.calibration_day) & (before.day < periods.test_day))
    assert counted.sum_yesterday().sum() == pytest.approx(faded(before, periods).sum(), rel=1e-6)


def test_the_moments_are_those_of_the_rows(counted, rows):
    moments = counted.learn(3).moments
    table = np.stack([rows.vol_moving_avg, rows.adj_close_rolling_med, rows.volume])
    assert moments.rows == len(rows)
    assert moments.mean == pytest.approx(table.mean(axis=1))
    assert moments.comoments / len(rows) == pytest.approx(np.cov(table, bias=True))
    assert moments.least.tolist() == table.min(axis=1).tolist() and moments.most.tolist() == table.max(axis=1).tolist()


def test_the_sample_is_drawn_from_later_years_and_is_the_same_each_time(spark, market_files, counted, periods, daily):
    sample = counted.sample
    assert (sample.day >= periods.calibration_day).all() and 4_000 < len(sample) < 6_000
    again = count_market(spark, market_files[::-1], plan_counts(periods, daily, 5_000)).sample
    assert sorted(zip(sample.symbol, sample.day, strict=True)) == sorted(zip(again.symbol, again.day, strict=True))


def test_the_number_of_tasks_does_not_matter_for_counts(spark, market_files, counted, periods, daily, monkeypatch):
    monkeypatch.setattr(chunks, "CHUNKS", 1)
    once = count_market(spark, market_files, plan_counts(periods, daily, 5_000))
    for name in ("places", "rows", "shares", "sizes"):
        assert np.array_equal(getattr(once, name), getattr(counted, name))


def test_an_example_is_read_whole(market_files, rows):
    some = rows.select(rows.day >= rows.day.max() - 100)
    more = concatenate([some, some.select(some.symbol == some.symbol[-1])])
    names = [f"S{part}{number}" for part in range(3) for number in range(10)]
    example = choose_example(more, names)
    assert (
        read_symbol(market_files, example).symbol.tolist() == [some.symbol[-1]] * (rows.symbol == some.symbol[-1]).sum()
    )


def test_a_day_long_ago_or_far_ahead_neither_stretches_nor_breaks_the_weights(rows, periods, daily):
    from pipeline.forecasting.same_day.counts import weigh_rows

    plan = plan_counts(periods, daily, 0)
    odd = replace(rows.select(np.arange(len(rows)) < 2), day=np.array([-100_000, 100_000]))
    weights = weigh_rows(odd, plan) / (odd.vol_moving_avg * SHARES_UNIT)
    assert weights == pytest.approx([FADING**60, FADING**-10], abs=1e-4)
