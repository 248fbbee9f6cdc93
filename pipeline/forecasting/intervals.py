"""Intervals that hold what they promise: 80% of the days to come lie inside, for large symbols and for small ones.

A distribution learned from years of training is a little wrong for the years to come. So the levels at which it is
cut are not 10% and 90%, but those that would have been right in a later period, the calibration, separately for each
size class (conformal prediction on the distribution's own scale: Chernozhukov, Wuethrich, Zhu, "Distributional
conformal prediction", 2021).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pipeline.forecasting.same_day.grid import BOUNDS, LEAST, SHAPE, fill_empty, find_quantiles, smooth

COVERAGE = 0.8
LIMIT = 0.05  # of the margin for drift
CLASSES = 10  # of size, by volume
LEVELS = [round(0.05 * number, 2) for number in range(1, 20)]  # of the quantiles that a bundle holds


@dataclass(frozen=True)
class Interval:
    """Bounds as multiples of vol_moving_avg, in the grid's cells. float64[SHAPE] each."""

    low: np.ndarray
    high: np.ndarray


def calibrate_grid(periods: np.ndarray) -> tuple[Interval, float]:
    """The interval in each cell, and by how much more than COVERAGE it aims, since years drift.

    periods: int64[4, *SHAPE, BINS], counts of rows; the first is the long past, the last the calibration. The margin
    for drift is what the same recipe missed on what came later, twice (see measure_drift).
    """
    margin = min(measure_drift(periods), LIMIT)
    return cut_distribution(periods[:-1].sum(axis=0), periods[-1], COVERAGE + margin), margin


def measure_drift(periods: np.ndarray) -> float:
    """The typical miss (root mean square) of a size class in the years after a calibration.

    Twice: the first period is the past, the second the calibration, and the third judges; then all one period later.
    The classes are tenths of the rows by volume. Returns 0 where there is nothing to judge by: a short history has
    no long past.
    """
    misses = []
    for calibration in (1, 2):
        if not periods[:calibration].any():
            continue
        interval = cut_distribution(periods[:calibration].sum(axis=0), periods[calibration], COVERAGE)
        later = periods[calibration + 1].sum(axis=(1, 2))
        inside = (periods[calibration + 1] * cover_bins(interval)).sum(axis=(1, 2))
        place = CLASSES * (np.cumsum(later) - later / 2) / max(later.sum(), 1)
        tenth = np.minimum(place.astype(np.int64), CLASSES - 1)
        rows, covered = (np.bincount(tenth, values, minlength=CLASSES) for values in (later, inside))
        misses.append(covered[rows > 0] / rows[rows > 0] - COVERAGE)
    missed = np.concatenate([*misses, np.empty(0)])
    return round(float(np.sqrt(np.square(missed).mean())), 4) if len(missed) else 0.0


def cover_bins(interval: Interval) -> np.ndarray:
    """Which share of each bin of the ratio lies inside the interval. Returns float64[*SHAPE, BINS]."""
    lower, upper = BOUNDS[1:-1], BOUNDS[2:]
    low, high = (
        np.clip(np.log(np.maximum(bound, LEAST / 2)[..., None] / lower) / np.log(upper / lower), 0.0, 1.0)
        for bound in (interval.low, interval.high)
    )
    return np.concatenate([interval.low[..., None] == 0.0, high - low], axis=-1)


def cut_distribution(past: np.ndarray, calibration: np.ndarray, coverage: float) -> Interval:
    """The interval in each cell: the distribution is that of the past, the levels at which it is cut those of the
    calibration.

    past, calibration: int64[*SHAPE, BINS], counts of rows. A size class is a volume cell, smoothed with its neighbours.
    """
    distribution = smooth(past)
    ranks = rank_bins(distribution)
    weights = smooth(calibration)
    levels = np.array([find_levels(ranks[row].ravel(), weights[row].ravel(), coverage) for row in range(SHAPE[0])])
    low, high = (find_quantiles(distribution, np.repeat(level[:, None], SHAPE[1], axis=1)) for level in levels.T)
    return Interval(fill_empty(low), fill_empty(high))


def rank_bins(distribution: np.ndarray) -> np.ndarray:
    """The share of each cell's distribution that lies below each bin's middle. float64[*SHAPE, BINS] both."""
    total = distribution.sum(axis=-1, keepdims=True)
    sums = np.divide(np.cumsum(distribution, axis=-1), total, out=np.zeros_like(distribution), where=total > 0)
    ranks: np.ndarray = sums - 0.5 * np.diff(sums, axis=-1, prepend=0.0)
    ranks[..., 0] = sums[..., 0]  # a day without trade is not below an interval that begins at 0
    return ranks


def tabulate_spread(
    periods: np.ndarray, shares: np.ndarray, edges: Mapping[str, list[float]]
) -> dict[str, dict[str, object]]:
    """Quantiles and the mean of Volume / vol_moving_avg in each cell, as the bundle holds them, of four digits.

    A quantile is cut where it would have been right in the calibration, for each size class, as the interval's ends;
    but without the interval's margin for drift. periods: as calibrate_grid takes them; shares: int64[*SHAPE, BINS], of
    all days that the model learned from; edges: feature -> the grid's edges.
    """
    quantiles = cut_quantiles(periods[:-1].sum(axis=0), periods[-1], np.array(LEVELS))
    middles = np.concatenate([[0.0], np.sqrt(BOUNDS[1:-1] * BOUNDS[2:])])
    weights = smooth(shares)
    total = weights.sum(axis=-1)
    mean = np.divide(weights @ middles, total, out=np.full(SHAPE, np.nan), where=total > 0)
    return {
        "quantiles": {"edges": edges, "levels": LEVELS, "ratios": shorten(quantiles)},
        "mean": {"edges": edges, "ratios": shorten(fill_empty(mean))},
    }


def cut_quantiles(past: np.ndarray, calibration: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """The ratio at each level in each cell. past, calibration: int64[*SHAPE, BINS]; returns float64[levels, *SHAPE]."""
    distribution = smooth(past)
    ranks, weights = rank_bins(distribution), smooth(calibration)
    cuts = np.tile(levels, (SHAPE[0], 1))  # of a size class without a calibration: nothing is corrected
    for row in range(SHAPE[0]):
        order = np.argsort(ranks[row], axis=None, kind="stable")
        sums = np.cumsum(weights[row].ravel()[order])
        if sums[-1] > 0:
            cuts[row] = ranks[row].ravel()[order][np.searchsorted(sums / sums[-1], levels).clip(max=len(sums) - 1)]
    tables = [fill_empty(find_quantiles(distribution, np.repeat(cut[:, None], SHAPE[1], axis=1))) for cut in cuts.T]
    return np.maximum.accumulate(np.array(tables), axis=0)


def shorten(table: np.ndarray) -> object:
    """As lists of numbers with four digits, so that a bundle stays small."""
    return np.vectorize(lambda ratio: float(f"{ratio:.4g}"))(table).tolist()


def find_levels(ranks: np.ndarray, weights: np.ndarray, coverage: float) -> tuple[float, float]:
    """Where to cut a distribution so that `coverage` of the calibration lies between, half of the rest below if it can.

    ranks: the place of each outcome within the distribution that was forecast for it, 0 to 1; weights: how often it
    came about; float64[n] each. Where many days have no trade nothing lies below 0; all that misses then lies above.
    """
    tail = (1 - coverage) / 2
    if not weights.sum() > 0:
        return tail, 1 - tail
    order = np.argsort(ranks, kind="stable")
    ranks, sums = ranks[order], np.cumsum(weights[order])
    sums = sums / sums[-1]
    low = ranks[np.searchsorted(sums, tail)]
    first = np.searchsorted(ranks, low, side="left")
    below = sums[first - 1] if first else 0.0
    return float(low), float(ranks[min(np.searchsorted(sums, below + coverage), len(ranks) - 1)])


def find_bounds(values: np.ndarray) -> tuple[float, float]:
    """The narrow ends of COVERAGE of the sorted values, with the conformal correction for their finite number."""
    return find_levels(values, np.ones(len(values)), min(1.0, COVERAGE * (1 + 1 / len(values))))
