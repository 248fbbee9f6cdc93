"""The quantile grid: how today's Volume spreads around its 30-day mean, for each level of volume and price.

Cells are half an octave wide in both features. Each holds a histogram of the ratio Volume / vol_moving_avg, so that
any quantile of it can be read: the median is a forecast, the 10% and 90% quantiles an interval. Histograms are whole
numbers and add up in any order, so one pass over any number of rows, cut into any number of tasks, gives the same
grid to the last bit.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyspark.sql import SparkSession
from scipy.ndimage import gaussian_filter

from pipeline.forecasting.market_rows import MarketRows, is_held_out, read_rows

VOLUME_EDGES = 2.0 ** np.arange(4, 30.5, 0.5)  # shares
PRICE_EDGES = 2.0 ** np.arange(-4, 12.5, 0.5)  # of adj_close_rolling_med
SHAPE = (len(VOLUME_EDGES) + 1, len(PRICE_EDGES) + 1)
SMOOTHING = 1.5  # cells: standard deviation of the bell that smooths the histograms

# Bin 0 holds ratio 0 and all below LEAST; the others are equal steps of the ratio's logarithm.
BINS, LEAST, MOST = 256, 2.0**-8, 2.0**5
TASKS = 8  # what a task returns is as large for one part as for many
BOUNDS = np.concatenate([[0.0], np.geomspace(LEAST, MOST, BINS)])  # BINS + 1 bounds


@dataclass(frozen=True)
class Histograms:
    """Counts by period, whether the symbol is held out, cell and ratio: int64[periods, 2, volume cells, price cells,
    BINS] each.

    rows: each row counts as 1. shares: each counts as its vol_moving_avg, since an error of one percent costs as many
    shares.
    """

    rows: np.ndarray
    shares: np.ndarray


def find_cells(volumes: np.ndarray, prices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The volume cell and the price cell of each row. float64[n] each; returns int64[n] each."""
    return np.searchsorted(VOLUME_EDGES, volumes, side="right"), np.searchsorted(PRICE_EDGES, prices, side="right")


def find_bins(ratios: np.ndarray) -> np.ndarray:
    """The bin of each ratio. float64[n]; returns int64[n]."""
    return np.clip(np.searchsorted(BOUNDS, ratios, side="right") - 1, 0, BINS - 1)


def count_rows(rows: MarketRows, period_ends: np.ndarray) -> Histograms:
    """The histograms of some rows.

    Rows after the last period, and rows whose vol_moving_avg is 0 and so have no ratio, do not count.
    """
    rows = rows.select((rows.vol_moving_avg > 0) & (rows.day < period_ends[-1]))
    level = rows.vol_moving_avg
    period = np.searchsorted(period_ends, rows.day, side="right")
    held_out = is_held_out(rows.symbol).astype(np.int64)
    shape = (len(period_ends), 2, *SHAPE, BINS)
    cells = find_cells(level, rows.adj_close_rolling_med)
    place = np.ravel_multi_index((period, held_out, *cells, find_bins(rows.volume / level)), shape)
    size = int(np.prod(shape))
    counts = np.bincount(place, minlength=size)
    shares = np.bincount(place, np.rint(level), minlength=size).astype(np.int64)  # exact: whole doubles
    return Histograms(counts.reshape(shape), shares.reshape(shape))


def count_shares(rows: MarketRows) -> np.ndarray:
    """The histogram of shares of rows at hand, all periods and symbols in one. Returns int64[*SHAPE, BINS]."""
    shares: np.ndarray = count_rows(rows, np.array([np.iinfo(np.int64).max])).shares.sum(axis=(0, 1))
    return shares


def fill_histograms(spark: SparkSession, files: list[Path], period_ends: np.ndarray) -> Histograms:
    """One Spark pass over all rows of `features`: a task counts some parts, the driver adds the counts.

    period_ends: int64[k], rising, days since 1970-01-01: period i holds the days from end i - 1 until before end i.
    """
    paths = [path.resolve() for path in files]

    def count_parts(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        rows, shares = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        for batch in batches:
            for number in batch["id"].to_pylist():
                counted = count_rows(read_rows(paths[number]), period_ends)
                rows += counted.rows
                shares += counted.shares
        places = np.flatnonzero(rows)  # most bins are empty
        columns = [places, np.ravel(rows)[places], np.ravel(shares)[places]]
        yield pa.RecordBatch.from_arrays([pa.array(column) for column in columns], ["place", "rows", "shares"])

    shape = (len(period_ends), 2, *SHAPE, BINS)
    tasks = spark.range(0, len(paths), 1, min(len(paths), TASKS))
    counted = tasks.mapInArrow(count_parts, "place bigint, rows bigint, shares bigint").toArrow()
    filled = {name: np.zeros(int(np.prod(shape)), np.int64) for name in ("rows", "shares")}
    for name, flat in filled.items():
        np.add.at(flat, counted["place"].to_numpy(), counted[name].to_numpy())
    return Histograms(**{name: flat.reshape(shape) for name, flat in filled.items()})


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
