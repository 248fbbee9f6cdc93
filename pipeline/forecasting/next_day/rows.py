"""The second pass over `features`: the rows that the next-day model learns from and is judged on, beside the market.

Tasks build the causal features of whole symbols; only what was drawn comes back.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyspark.sql import SparkSession

from pipeline.forecasting.next_day.features import NAIVE, NAMES, Market, build_features, find_targets, naive_answers
from pipeline.forecasting.next_day.parts import map_parts, pack, read_symbol_rows, unpack_matrix
from pipeline.forecasting.next_day.plan import PERIODS, Plan
from pipeline.forecasting.next_day.trading_calendar import TradingCalendar

BATCH = 20_000  # rows that a task returns at once


@dataclass(frozen=True)
class NextDayRows:
    """n rows that are forecast from. inputs: float32[n, features]; symbol, day: int64[n], `day` that of the target;
    target: float64[n], shares; naive: name -> float64[n], the answers that need no model."""

    inputs: np.ndarray
    symbol: np.ndarray
    day: np.ndarray
    target: np.ndarray
    naive: dict[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.day)


def collect_rows(
    spark: SparkSession, files: list[Path], etfs: frozenset[str], calendar: TradingCalendar, market: Market, plan: Plan
) -> dict[str, NextDayRows]:
    """The drawn rows of each of PERIODS, sorted by symbol and day."""

    def build(file: Path) -> Iterator[pa.RecordBatch]:
        rows, _, _ = read_symbol_rows(file, etfs)
        targets = find_targets(rows, calendar)
        known = np.flatnonzero(targets >= 0)
        symbol, day = rows.symbol[known], rows.day[targets[known]]
        period = plan.draw(symbol, day)
        drawn, period, symbol, day = known[period >= 0], period[period >= 0], symbol[period >= 0], day[period >= 0]
        features = np.column_stack([column[drawn] for column in build_features(rows, market, calendar).values()])
        answers = np.column_stack([column[drawn] for column in naive_answers(rows).values()])
        target = rows.volume[targets[drawn]]
        for start in range(0, len(drawn), BATCH):
            part = slice(start, start + BATCH)
            columns = [pa.array(column[part]) for column in (period, symbol, day, target)]
            columns += [pack(features[part]), pack(answers[part])]
            yield pa.RecordBatch.from_arrays(columns, ["period", "symbol", "day", "target", "inputs", "answers"])

    schema = "period bigint, symbol bigint, day bigint, target bigint, inputs binary, answers binary"
    drawn = map_parts(spark, files, schema, build).sort_by([("symbol", "ascending"), ("day", "ascending")])
    period = drawn["period"].to_numpy()
    rows = {name: unpack(drawn.filter(pa.array(period == number))) for number, name in enumerate(PERIODS)}
    del drawn
    pa.default_memory_pool().release_unused()  # the training that comes next needs the memory
    return rows


def unpack(table: pa.Table) -> NextDayRows:
    """The rows that a task packed."""
    inputs = unpack_matrix(table["inputs"], np.float32, len(NAMES))
    answers = unpack_matrix(table["answers"], np.float64, len(NAIVE))
    symbol, day, target = (table[name].to_numpy() for name in ("symbol", "day", "target"))
    naive = {name: answers[:, place] for place, name in enumerate(NAIVE)}
    return NextDayRows(inputs, symbol, day, target.astype(np.float64), naive)
