"""Rolling statistics over many symbols at once: flat arrays, one symbol after the other.

All functions take `starts`, int64[k + 1]: where each of k symbols begins, and the number of rows last. The rows of a
symbol are contiguous and in date order.
"""

from collections.abc import Callable
from functools import partial

import bottleneck
import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


def find_starts(symbols: npt.NDArray[np.generic]) -> Integers:
    """Where each symbol begins in a column that has equal symbols together. Returns int64[k + 1]."""
    changes = np.flatnonzero(symbols[1:] != symbols[:-1]) + 1
    return np.concatenate([[0], changes, [len(symbols)]]).astype(np.int64)


def rolling_mean(values: Integers, starts: Integers, window: int) -> Floats:
    """Mean over the last `window` rows of each symbol, from an exact integer sum.

    values: int64[n]. Returns float64[n], NaN until a symbol has `window` rows. The sum of a window is exact; turning
    it into a double rounds only beyond 2^53.
    """
    result = np.full(len(values), np.nan)
    if len(values) >= window:
        # int64 sums wrap around, and so do their differences: a window's own sum is right as long as it fits.
        sums = np.zeros(len(values) + 1, np.int64)
        np.cumsum(values, out=sums[1:])
        np.divide(sums[window:] - sums[:-window], window, out=result[window - 1 :])
    blank_warm_up(result, starts, window)
    return result


def rolling_median(values: Floats, starts: Integers, window: int) -> Floats:
    """Median over the last `window` rows of each symbol, exact, for windows that are full.

    values: float64[n] without NaN. Returns float64[n], NaN until a symbol has `window` rows; for an even window the
    mean of the two middle values.
    """
    if len(values) < window:
        return np.full(len(values), np.nan)
    result = keep_finite(partial(bottleneck.move_median, window=window), values)
    blank_warm_up(result, starts, window)
    return result


def blank_warm_up(result: Floats, starts: Integers, window: int) -> None:
    """Set the first `window` - 1 rows of each symbol to NaN: their windows would reach into the symbol before."""
    for start, end in zip(starts[:-1], starts[1:], strict=True):
        result[start : min(start + window - 1, end)] = np.nan


def find_calendar_starts(days: Integers, starts: Integers, window: int) -> Integers:
    """First row of each row's window of `window` calendar days, its own day the last of them.

    days: int64[n], days since an epoch, rising within a symbol. Returns int64[n].
    """
    # Symbols are set so far apart that a search over all of them at once stays within the row's own symbol.
    span = int(days.max() - days.min()) + window + 1 if len(days) else 1
    symbol = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    line = days - days.min() + symbol * span if len(days) else days
    return np.searchsorted(line, line - (window - 1))


def calendar_mean(values: Integers, days: Integers, starts: Integers, window: int) -> Floats:
    """Mean over the rows of the last `window` calendar days of each symbol, from the first row on.

    values, days: int64[n]. Returns float64[n] without NaN. Exactness: see rolling_mean.
    """
    first = find_calendar_starts(days, starts, window)
    last = np.arange(1, len(values) + 1)
    sums = np.concatenate([[0], np.cumsum(values, dtype=np.int64)])
    means: Floats = (sums[last] - sums[first]) / (last - first)
    return means


def calendar_median(values: Floats, days: Integers, starts: Integers, window: int) -> Floats:
    """Median over the rows of the last `window` calendar days of each symbol, exact, from the first row on.

    values: float64[n] without NaN; days: int64[n]. Returns float64[n] without NaN.
    """
    dates = pd.to_datetime(days, unit="D")
    symbols = [slice(start, end) for start, end in zip(starts[:-1], starts[1:], strict=True)]

    def find_medians(values: Floats) -> Floats:
        medians = [pd.Series(values[rows], dates[rows]).rolling(f"{window}D").median().to_numpy() for rows in symbols]
        return np.concatenate(medians) if medians else np.empty(0)

    return keep_finite(find_medians, values)


def keep_finite(find_medians: Callable[[Floats], Floats], values: Floats) -> Floats:
    """The medians of `values`, also where the sum of the two middle ones is too large for a double: there they are
    twice those of half the values.
    """
    medians = find_medians(values)
    beyond = np.isinf(medians)
    if beyond.any():
        medians[beyond] = 2 * find_medians(values / 2)[beyond]
    return medians
