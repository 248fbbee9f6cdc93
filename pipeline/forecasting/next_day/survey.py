"""The first pass over `features`: the market of each day, the rows that there are, and how large and how restless the
symbols of the test are.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyspark.sql import SparkSession

from pipeline.forecasting.evaluation import DECILES
from pipeline.forecasting.market_rows import is_held_out
from pipeline.forecasting.next_day.market import Market, average_market, sum_market
from pipeline.forecasting.next_day.parts import map_parts, read_symbol_rows
from pipeline.forecasting.next_day.symbol_rows import MONTH, SymbolRows, log_volume, mean_of, spread_of
from pipeline.forecasting.next_day.targets import find_targets
from pipeline.forecasting.next_day.trading_calendar import TradingCalendar

STEPS = {"base": 1 / 64, "spread": 1 / 256}  # width of the bins, in logs of volume
BINS = 2048


@dataclass(frozen=True)
class Survey:
    """What the first pass found.

    market: see Market. rows: int64[2, sessions], pairs of consecutive sessions by whether their symbol is one to hold
    out and by the later session. histograms: int64[2, len(STEPS), BINS], rows of the test by the feature in bins of
    STEPS.
    """

    market: Market
    rows: np.ndarray
    histograms: np.ndarray

    def find_edges(self, hold_out: bool) -> dict[str, np.ndarray]:
        """The bounds of tenths of the test's rows by size (`base`) and by restlessness (`spread`): float64[9] each.

        hold_out: whether only symbols that are held out are tested.
        """
        counts = self.histograms[1] if hold_out else self.histograms.sum(axis=0)
        return {name: find_tenths(count) * step for (name, step), count in zip(STEPS.items(), counts, strict=True)}


def find_tenths(counts: np.ndarray) -> np.ndarray:
    """The ends of the bins at which a tenth, two tenths and so on of the counts are reached. int64[bins] to
    float64[9].
    """
    sums = np.cumsum(counts)
    reached = np.searchsorted(sums, sums[-1] * np.arange(1, DECILES) / DECILES)
    ends: np.ndarray = reached + 1.0
    return ends


def collect_survey(
    spark: SparkSession, files: list[Path], etfs: frozenset[str], calendar: TradingCalendar, test_day: int
) -> Survey:
    """The survey of all parts. test_day: the first day of the test, since 1970-01-01."""

    def look(file: Path) -> Iterator[pa.RecordBatch]:
        rows, _, _ = read_symbol_rows(file, etfs)
        counted, histograms = count_targets(rows, calendar, test_day)
        found = {"sums": sum_market(rows, calendar), "rows": counted, "histograms": histograms}
        yield pa.RecordBatch.from_pydict({name: [array.tobytes()] for name, array in found.items()})

    parts = map_parts(spark, files, "sums binary, rows binary, histograms binary", look)
    sums, counted, histograms = (
        np.sum([np.frombuffer(part.as_py(), np.int64) for part in parts[name]], axis=0) for name in parts.column_names
    )
    market = average_market(sums.reshape(3, -1))
    return Survey(market, counted.reshape(2, -1), histograms.reshape(2, len(STEPS), BINS))


def count_targets(rows: SymbolRows, calendar: TradingCalendar, test_day: int) -> tuple[np.ndarray, np.ndarray]:
    """`rows` and `histograms` of a Survey, of one part."""
    targets = find_targets(rows, calendar)
    known = np.flatnonzero(targets >= 0)
    day = rows.day[targets[known]]
    held_out = is_held_out(rows.symbol[known]).astype(np.int64)
    size = len(calendar.days)
    counted = np.bincount(held_out * size + calendar.find_session(day), minlength=2 * size).reshape(2, -1)
    log = log_volume(rows.volume)
    values = {"base": mean_of(log, MONTH, rows.starts), "spread": spread_of(log, MONTH, rows.starts)}
    later = day >= test_day
    histograms = np.zeros((2, len(STEPS), BINS), np.int64)
    for place, (name, step) in enumerate(STEPS.items()):
        bins = np.minimum(values[name][known[later]] / step, BINS - 1).astype(np.int64)
        both = np.bincount(held_out[later] * BINS + bins, minlength=2 * BINS)
        histograms[:, place] = both.reshape(2, -1)
    return counted, histograms
