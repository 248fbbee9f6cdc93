"""The quantile grid finds the medians that are there, whatever the number of tasks, and has an answer everywhere."""

import numpy as np

from pipeline.forecasting.market_rows import MarketRows, read_all_rows
from pipeline.forecasting.same_day import grid

FOREVER = np.array([np.iinfo(np.int64).max])


def make_rows(level, price, ratio) -> MarketRows:
    size = len(ratio)
    return MarketRows(
        np.ones(size, np.int64), np.arange(size), np.asarray(ratio) * level, np.full(size, level), np.full(size, price)
    )


def test_the_median_of_a_cell_is_that_of_its_rows():
    ratios = np.exp(np.random.default_rng(1).normal(-0.2, 0.4, 20_001))
    ratio = grid.fit_grid(grid.count_shares(make_rows(50_000.0, 20.0, ratios)))
    found = ratio[grid.find_cells(np.array([50_000.0]), np.array([20.0]))][0]
    assert abs(found / np.median(ratios) - 1) < 0.01


def test_cells_without_rows_take_their_neighbours_answer():
    ratio = grid.fit_grid(grid.count_shares(make_rows(50_000.0, 20.0, np.full(100, 0.9))))
    assert np.allclose(ratio, 0.9, rtol=0.03)


def test_days_without_trade_pull_the_median_to_zero():
    rows = make_rows(1_000.0, 5.0, [0.0] * 60 + [2.0] * 40)
    assert grid.find_quantiles(grid.count_shares(rows).sum(axis=(0, 1)).astype(float), 0.5) == 0.0


def test_one_large_symbol_outweighs_many_small_rows_in_shares():
    small, large = make_rows(100.0, 5.0, [0.5] * 99), make_rows(100_000.0, 5.0, [1.5])
    shares = sum(grid.count_shares(rows).sum(axis=(0, 1)) for rows in (small, large))
    assert grid.find_quantiles(shares.astype(float), 0.5) > 1.4


def test_spark_counts_what_a_single_count_finds(spark, market_files):
    whole = grid.fill_histograms(spark, market_files, FOREVER)
    rows = read_all_rows(market_files)
    assert np.array_equal(whole.shares.sum(axis=(0, 1)), grid.count_shares(rows))
    assert whole.rows.sum() == (rows.vol_moving_avg > 0).sum()


def test_the_order_of_parts_does_not_matter(spark, market_files):
    forth = grid.fill_histograms(spark, market_files, FOREVER)
    back = grid.fill_histograms(spark, market_files[::-1], FOREVER)
    assert np.array_equal(forth.rows, back.rows) and np.array_equal(forth.shares, back.shares)


def test_a_period_holds_the_days_before_its_end(spark, market_files):
    middle = 16_500
    histograms = grid.fill_histograms(spark, market_files, np.array([middle, middle + 100]))
    day = read_all_rows(market_files).day
    counted = histograms.rows.sum(axis=(1, 2, 3, 4)).tolist()
    assert counted == [(day < middle).sum(), ((day >= middle) & (day < middle + 100)).sum()]
