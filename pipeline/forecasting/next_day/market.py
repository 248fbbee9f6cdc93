"""The first pass over `features`: the market of each day, and how many rows there are to draw from."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyspark.sql import SparkSession

from pipeline.forecasting.next_day.features import Market, average_market, find_targets, sum_market
from pipeline.forecasting.next_day.parts import map_parts, read_symbol_rows
from pipeline.forecasting.next_day.plan import Plan
from pipeline.forecasting.next_day.trading_calendar import TradingCalendar


def collect_market(
    spark: SparkSession, files: list[Path], etfs: frozenset[str], calendar: TradingCalendar, plan: Plan
) -> tuple[Market, np.ndarray]:
    """The market day by day, and the rows that can be drawn, as Plan.choose_symbols takes them (int64[2, 3])."""

    def add_up(file: Path) -> Iterator[pa.RecordBatch]:
        rows, _, _ = read_symbol_rows(file, etfs)
        targets = find_targets(rows, calendar)
        known = targets >= 0
        counts = plan.count(rows.symbol[known], rows.day[targets[known]])
        yield pa.RecordBatch.from_pydict({"sums": [sum_market(rows, calendar).tobytes()], "counts": [counts.tobytes()]})

    parts = map_parts(spark, files, "sums binary, counts binary", add_up)
    sums, counts = (
        np.sum([np.frombuffer(part.as_py(), np.int64) for part in parts[name]], axis=0) for name in ("sums", "counts")
    )
    return average_market(sums.reshape(3, -1)), counts.reshape(2, -1)
