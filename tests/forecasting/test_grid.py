"""The quantile grid finds the medians that are there, and has an answer everywhere."""

import numpy as np

from pipeline.forecasting.same_day import grid


def count(level: float, price: float, ratios, weight: float = 1.0) -> np.ndarray:
    """A histogram of ratios in the cell of such a row."""
    histogram = np.zeros((*grid.SHAPE, grid.BINS))
    cell = grid.find_cells(np.array([level]), np.array([price]))
    histogram[cell] = weight * np.bincount(grid.find_bins(np.asarray(ratios)), minlength=grid.BINS)
    return histogram


def test_the_median_of_a_cell_is_that_of_its_rows():
    ratios = np.exp(np.random.default_rng(1).normal(-0.2, 0.4, 20_001))
    ratio = grid.fit_grid(count(50_000.0, 20.0, ratios))
    found = ratio[grid.find_cells(np.array([50_000.0]), np.array([20.0]))][0]
    assert abs(found / np.median(ratios) - 1) < 0.01


def test_cells_without_rows_take_their_neighbours_answer():
    ratio = grid.fit_grid(count(50_000.0, 20.0, np.full(100, 0.9)))
    assert np.allclose(ratio, 0.9, rtol=0.03)


def test_days_without_trade_pull_the_median_to_zero():
    histogram = count(1_000.0, 5.0, [0.0] * 60 + [2.0] * 40)
    assert grid.find_quantiles(histogram.sum(axis=(0, 1)), 0.5) == 0.0


def test_one_large_symbol_outweighs_many_small_rows_in_shares():
    shares = count(100.0, 5.0, [0.5] * 99, 100) + count(100_000.0, 5.0, [1.5], 100_000)
    assert grid.find_quantiles(shares.sum(axis=(0, 1)), 0.5) > 1.4
