"""The quantile grid: how today's Volume spreads around its 30-day mean, for each level of volume and price.

Cells are half an octave wide in both features. Each holds a histogram of the ratio Volume / vol_moving_avg, so that
any quantile of it can be read: the median is a forecast, the 10% and 90% quantiles an interval.
"""

import numpy as np
from scipy.ndimage import gaussian_filter

VOLUME_EDGES = 2.0 ** np.arange(4, 30.5, 0.5)  # shares
PRICE_EDGES = 2.0 ** np.arange(-4, 12.5, 0.5)  # of adj_close_rolling_med
SHAPE = (len(VOLUME_EDGES) + 1, len(PRICE_EDGES) + 1)
SMOOTHING = 1.5  # cells: standard deviation of the bell that smooths the histograms

# Bin 0 holds ratio 0 and all below LEAST; the others are equal steps of the ratio's logarithm.
BINS, LEAST, MOST = 256, 2.0**-8, 2.0**5
BOUNDS = np.concatenate([[0.0], np.geomspace(LEAST, MOST, BINS)])  # BINS + 1 bounds


def find_cells(volumes: np.ndarray, prices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The volume cell and the price cell of each row. float64[n] each; returns int64[n] each."""
    return np.searchsorted(VOLUME_EDGES, volumes, side="right"), np.searchsorted(PRICE_EDGES, prices, side="right")


def find_bins(ratios: np.ndarray) -> np.ndarray:
    """The bin of each ratio. float64[n]; returns int64[n]."""
    return np.clip(np.searchsorted(BOUNDS, ratios, side="right") - 1, 0, BINS - 1)


def smooth(histogram: np.ndarray, cells: float = SMOOTHING) -> np.ndarray:
    """Share what each cell holds with its neighbours by a Gaussian bell, so that no cell rests on a few rows.

    histogram: [volume cells, price cells, BINS]; cells: the bell's standard deviation. Returns float64 of the same
    shape.
    """
    shared: np.ndarray = gaussian_filter(histogram.astype(np.float64), (cells, cells, 0), mode="nearest", truncate=6)
    return shared


def find_quantiles(histogram: np.ndarray, levels: np.ndarray | float) -> np.ndarray:
    """The quantile of the ratio in each cell; within a bin the ratio is taken as spread evenly in its logarithm.

    histogram: [..., BINS]; levels: between 0 and 1, one or [...]. Returns float64[...]; NaN for a cell that holds
    nothing.
    """
    sums = np.cumsum(histogram, axis=-1)
    total = sums[..., -1]
    wanted = np.asarray(levels) * total
    bins = np.minimum((sums < wanted[..., None]).sum(axis=-1), BINS - 1)
    within = np.take_along_axis(histogram, bins[..., None], -1)[..., 0]
    before = np.take_along_axis(sums, bins[..., None], -1)[..., 0] - within
    share = np.divide(wanted - before, within, out=np.full_like(total, 0.5), where=within > 0)
    lower, upper = BOUNDS[np.maximum(bins, 1)], BOUNDS[bins + 1]
    values = np.where(bins == 0, 0.0, lower * (upper / lower) ** share)
    return np.where(total > 0, values, np.nan)


def fill_empty(table: np.ndarray) -> np.ndarray:
    """Give cells without a value that of the nearest cell with one, by price first: no row of training was near
    them.
    """
    filled = table.copy()
    for view in (filled, filled.T):
        for line in view:
            known = np.flatnonzero(~np.isnan(line))
            if len(known):
                nearest = known[np.abs(np.arange(len(line))[:, None] - known[None, :]).argmin(axis=1)]
                line[:] = line[nearest]
    return filled


def fit_grid(shares: np.ndarray) -> np.ndarray:
    """The forecast in each cell as a multiple of vol_moving_avg: the ratio's median, each row weighing its shares.

    That median makes the sum of absolute errors in shares as small as it can be in the cell. Returns float64[SHAPE].
    """
    return fill_empty(find_quantiles(smooth(shares), 0.5))
