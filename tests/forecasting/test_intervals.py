"""Intervals cover what they promise on days that were not used to make them."""

import numpy as np
import pytest

from pipeline.forecasting import intervals
from pipeline.forecasting.same_day import grid

CELLS = grid.SHAPE


def draw_period(seed: int, spread: float, rows: int = 60_000) -> tuple[np.ndarray, np.ndarray]:
    """Histogram of one period and its ratios, all in one cell."""
    ratios = np.exp(np.random.default_rng(seed).normal(-0.1, spread, rows))
    histogram = np.zeros((*CELLS, grid.BINS), np.int64)
    histogram[20, 10] = np.bincount(grid.find_bins(ratios), minlength=grid.BINS)
    return histogram, ratios


def test_the_calibration_corrects_a_past_that_was_calmer():
    past, _ = draw_period(1, 0.2)
    calibration, _ = draw_period(2, 0.5)
    _, later = draw_period(3, 0.5)
    interval = intervals.cut_distribution(past, calibration, 0.8)
    inside = (interval.low[20, 10] <= later) & (later <= interval.high[20, 10])
    assert inside.mean() == pytest.approx(0.8, abs=0.02)


def test_drift_seen_in_trials_widens_the_interval():
    steady = np.stack([draw_period(seed, 0.3)[0] for seed in range(4)])
    drifting = np.stack([draw_period(seed, 0.2 + 0.04 * seed)[0] for seed in range(4)])
    assert intervals.calibrate_grid(steady)[1] < 0.02  # half a bin of the ratio at each end
    assert 0.03 < intervals.calibrate_grid(drifting)[1] <= intervals.LIMIT


def test_a_short_history_has_no_drift_to_judge():
    nothing, short = np.zeros_like(draw_period(1, 0.3)[0]), draw_period(2, 0.3)[0]
    interval, margin = intervals.calibrate_grid(np.stack([nothing, nothing, short, draw_period(3, 0.3)[0]]))
    assert margin == 0.0
    assert np.isfinite(interval.low).all() and np.isfinite(interval.high).all()


def test_many_days_without_trade_leave_all_misses_above():
    ranks = np.concatenate([np.full(30, 0.3), np.linspace(0.31, 1.0, 70)])
    low, high = intervals.find_levels(ranks, np.ones(100), 0.8)
    assert low == 0.3
    assert (ranks <= high).sum() == 80


def test_quantiles_are_right_in_the_years_after_and_lie_within_the_interval():
    past, _ = draw_period(1, 0.35)
    calibration, _ = draw_period(2, 0.5)
    _, later = draw_period(3, 0.5)
    levels = np.array(intervals.LEVELS)
    cut = intervals.cut_quantiles(past, calibration, levels)[:, 20, 10]
    assert (later[:, None] <= cut).mean(axis=0) == pytest.approx(levels, abs=0.02)
    interval = intervals.cut_distribution(past, calibration, intervals.COVERAGE + 0.02)
    assert interval.low[20, 10] <= cut[1] < cut[-2] <= interval.high[20, 10]


def test_the_mean_is_that_of_the_volumes():
    histogram, ratios = draw_period(1, 0.4)
    mean = intervals.tabulate_spread(np.stack([histogram, histogram]), histogram * 1_000, {})["mean"]["ratios"]
    assert mean[20][10] == pytest.approx(ratios.mean(), rel=0.01)
