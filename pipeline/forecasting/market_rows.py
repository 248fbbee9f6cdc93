"""The rows of `features` that models learn from and are judged on: without flags, with both features, as flat
arrays.
"""

from dataclasses import dataclass, fields, replace
from zlib import crc32

import numpy as np
import pyarrow as pa

from pipeline.datasets.contract import flagged
from pipeline.datasets.places import Place, read_table

HOLD_OUT_ONE_IN, REMAINDER = 5, 3  # symbols; of the demo's seven this holds out IBM and ^GSPC
HASHES = 2**32
COLUMNS = ("Symbol", "Date", "Open", "High", "Low", "Adj Close", "Volume", "vol_moving_avg", "adj_close_rolling_med")


@dataclass(frozen=True)
class MarketRows:
    """n rows in the order of `features`: by symbol, then date.

    symbol: int64[n], the checksum of its name (see number_symbols); day: int64[n], days since 1970-01-01; volume:
    float64[n], whole shares; vol_moving_avg: float64[n], shares; adj_close_rolling_med: float64[n].
    """

    symbol: np.ndarray
    day: np.ndarray
    volume: np.ndarray
    vol_moving_avg: np.ndarray
    adj_close_rolling_med: np.ndarray

    def __len__(self) -> int:
        return len(self.day)

    def select(self, chosen: np.ndarray) -> "MarketRows":
        """The rows where `chosen`, bool[n], is True."""
        return MarketRows(*(getattr(self, field.name)[chosen] for field in fields(self)))

    def without_today(self) -> "MarketRows":
        """The rows with the vol_moving_avg of the row before, which lacks the row's own Volume. First rows of a
        symbol go.
        """
        follows = np.flatnonzero(self.symbol[1:] == self.symbol[:-1]) + 1
        return replace(self.select(follows), vol_moving_avg=self.vol_moving_avg[follows - 1])


def number_symbols(names: list[str]) -> np.ndarray:
    """A number a symbol, the same in every run: the CRC-32 of its name. int64[k]."""
    return np.array([crc32(name.encode()) for name in names], dtype=np.int64)


def is_held_out(symbol: np.ndarray) -> np.ndarray:
    """Whether a symbol is among the one in five that models of unseen symbols must not train on. int64[n] to
    bool[n].
    """
    held_out: np.ndarray = symbol % HOLD_OUT_ONE_IN == REMAINDER
    return held_out


def read_rows(file: Place, first_day: int | None = None, end_day: int | None = None) -> MarketRows:
    """The rows of one part, from `first_day` until before `end_day` (days since 1970-01-01)."""
    table = read_table(file, columns=list(COLUMNS), use_threads=False)  # the other cores have tasks of their own
    arrays = {name: table[name].to_numpy() for name in COLUMNS[2:]}
    symbols = table["Symbol"].combine_chunks()
    day = table["Date"].cast(pa.int32()).to_numpy().astype(np.int64)
    keep = ~flagged(arrays) & ~np.isnan(arrays["vol_moving_avg"]) & ~np.isnan(arrays["adj_close_rolling_med"])
    if first_day is not None:
        keep &= day >= first_day
    if end_day is not None:
        keep &= day < end_day
    numbers = number_symbols(symbols.dictionary.to_pylist())[symbols.indices.to_numpy()]
    volume = arrays["Volume"].astype(np.float64)
    rows = MarketRows(numbers, day, volume, arrays["vol_moving_avg"], arrays["adj_close_rolling_med"])
    return rows.select(keep)


def concatenate(parts: list[MarketRows]) -> MarketRows:
    """The rows of one or more parts, in order."""
    return MarketRows(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(MarketRows)))


def read_symbol(files: list[Place], name: str) -> MarketRows:
    """The rows of one symbol: its part is found by the names in its file."""
    for file in files:
        if name in read_table(file, columns=["Symbol"])["Symbol"].combine_chunks().dictionary.to_pylist():
            rows = read_rows(file)
            return rows.select(rows.symbol == number_symbols([name])[0])
    raise ValueError(f"{name} is in none of {len(files)} parts")


def mix(values: np.ndarray) -> np.ndarray:
    """Scatter whole numbers over 0 to 2^32 (the finalizer of MurmurHash3). int64[n] each."""
    mixed = values.astype(np.uint64) & 0xFFFFFFFF
    for factor, step in ((0x85EBCA6B, 16), (0xC2B2AE35, 13)):
        mixed = ((mixed ^ (mixed >> np.uint64(step))) * factor) & 0xFFFFFFFF
    return (mixed ^ (mixed >> np.uint64(16))).astype(np.int64)


def draw_luck(symbol: np.ndarray, day: np.ndarray) -> np.ndarray:
    """A number from 0 to 1 for each row, which hangs on its symbol and day alone. int64[n] each to float64[n]."""
    return mix(symbol * 65_537 + day) / HASHES


def choose_example(rows: MarketRows, names: list[str]) -> str:
    """The name of the symbol with the most of these rows; the first in the alphabet of several."""
    numbers, counts = np.unique(rows.symbol, return_counts=True)
    most = set(numbers[counts == counts.max()].tolist())
    return min(name for name, number in zip(names, number_symbols(names).tolist(), strict=True) if number in most)
