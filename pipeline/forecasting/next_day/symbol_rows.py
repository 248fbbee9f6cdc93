"""Rows of whole symbols as flat arrays, and the few steps that all features are made of: back, mean, fading mean.

Nothing here looks at a later row of a symbol, or at another symbol.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import bottleneck
import numpy as np
from scipy.signal import lfilter

MONTH, QUARTER, YEAR = 22, 66, 252  # trading rows


@dataclass(frozen=True)
class SymbolRows:
    """Rows of whole symbols in date order, one symbol after the other.

    starts: int64[k + 1] (see rolling.find_starts); etf: bool[k]; key: int64[k], a number of the symbol that is the
    same in every run; day: int64[n], days since 1970-01-01; volume: int64[n]; close (adjusted), high, low, open,
    raw_close (as paid that day): float64[n]; usable: bool[n], False where a flag holds.
    """

    starts: np.ndarray
    etf: np.ndarray
    key: np.ndarray
    day: np.ndarray
    volume: np.ndarray
    close: np.ndarray
    high: np.ndarray
    low: np.ndarray
    open: np.ndarray
    raw_close: np.ndarray
    usable: np.ndarray

    @property
    def age(self) -> np.ndarray:
        """How many rows of its symbol precede each row. int64[n]."""
        age: np.ndarray = np.arange(len(self.day)) - self.first
        return age

    @property
    def first(self) -> np.ndarray:
        """The first row of each row's symbol. int64[n]."""
        return np.repeat(self.starts[:-1], np.diff(self.starts))

    @property
    def symbol(self) -> np.ndarray:
        """The key of each row's symbol. int64[n]."""
        return np.repeat(self.key, np.diff(self.starts))

    def select_symbols(self, chosen: np.ndarray) -> "SymbolRows":
        """The rows of some of the symbols. chosen: bool[k]."""
        sizes = np.diff(self.starts)
        stays = np.repeat(chosen, sizes)
        starts = np.concatenate([[0], np.cumsum(sizes[chosen])])
        return SymbolRows(starts, self.etf[chosen], self.key[chosen], *(column[stays] for column in self.columns))

    def cut(self, size: int) -> Iterator["SymbolRows"]:
        """Runs of whole symbols, in order, with about `size` rows each; at least one run. No copies are made."""
        begins = self.starts[:-1]
        bounds = [0, *(np.flatnonzero(np.diff(begins // size)) + 1), len(begins)]
        for first, last in pairwise(bounds):
            starts = self.starts[first : last + 1]
            columns = (column[starts[0] : starts[-1]] for column in self.columns)
            yield SymbolRows(starts - starts[0], self.etf[first:last], self.key[first:last], *columns)

    @property
    def columns(self) -> tuple[np.ndarray, ...]:
        """What there is of each row, in order."""
        return self.day, self.volume, self.close, self.high, self.low, self.open, self.raw_close, self.usable


def shift(values: np.ndarray, rows: int, age: np.ndarray) -> np.ndarray:
    """The value `rows` rows earlier in the same symbol. Returns float64[n], NaN where there is none."""
    result = np.full(len(values), np.nan)
    result[rows:] = values[: max(0, len(values) - rows)]
    result[age < rows] = np.nan
    return result


def mean_of(values: np.ndarray, window: int, starts: np.ndarray) -> np.ndarray:
    """Mean over the last `window` rows of the same symbol. NaN until it has as many, and where one of them is NaN."""
    return roll(bottleneck.move_mean, values, window, starts)


def roll(
    move: Callable[[np.ndarray, int], np.ndarray], values: np.ndarray, window: int, starts: np.ndarray
) -> np.ndarray:
    """What `move` of bottleneck makes of the last `window` rows of the same symbol, NaN until it has as many.

    Symbol by symbol: in one go over all, the rounding of a running sum would travel from one symbol into the next.
    """
    result = np.full(len(values), np.nan)
    for start, end in pairwise(starts):
        if end - start >= window:
            result[start:end] = move(values[start:end], window)
    return result


def fading_mean(values: np.ndarray, half_life: float, starts: np.ndarray) -> np.ndarray:
    """Mean over all rows of the symbol so far, whose weights halve every `half_life` rows. float64[n], as `values`,
    without NaN.
    """
    keep = 0.5 ** (1 / half_life)
    result = np.empty(len(values))
    for start, end in pairwise(starts):
        own = values[start:end]
        if len(own):
            result[start:end] = lfilter([1 - keep], [1, -keep], own, zi=[keep * own[0]])[0]
    return result


def log_volume(volume: np.ndarray) -> np.ndarray:
    """log(1 + V), the scale of all that follows: a day without trade has 0."""
    return np.log1p(volume.astype(np.float64))


def abnormal_volume(rows: SymbolRows) -> np.ndarray:
    """Today's log volume less its mean over the 22 rows before today. Returns float64[n], NaN in a symbol's first 22
    rows.
    """
    log = log_volume(rows.volume)
    abnormal: np.ndarray = log - shift(mean_of(log, MONTH, rows.starts), 1, rows.age)
    return abnormal


def range_of(rows: SymbolRows) -> np.ndarray:
    """log(High / Low), NaN where a flag holds. Returns float64[n]."""
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = np.log(rows.high / rows.low)
    return np.where(rows.usable & np.isfinite(spread), spread, np.nan)


def spread_of(values: np.ndarray, window: int, starts: np.ndarray) -> np.ndarray:
    """Standard deviation over the last `window` rows of the same symbol; see mean_of."""
    square = mean_of(values * values, window, starts) - mean_of(values, window, starts) ** 2
    spread: np.ndarray = np.sqrt(np.maximum(square, 0))
    return spread
