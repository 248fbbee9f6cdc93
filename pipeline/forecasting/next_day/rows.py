"""The second pass over `features`: the drawn rows that next-day models learn from, are calibrated on, and are shown.

Tasks build the causal features of whole symbols; only what was drawn comes back.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyspark.sql import SparkSession

from pipeline.forecasting.market_rows import is_held_out
from pipeline.forecasting.next_day.features import NAMES, build_features
from pipeline.forecasting.next_day.folds import Fold
from pipeline.forecasting.next_day.market import Market
from pipeline.forecasting.next_day.parts import map_parts, pack, read_symbol_rows, unpack_matrix
from pipeline.forecasting.next_day.plan import ROLES, Plan
from pipeline.forecasting.next_day.targets import find_targets
from pipeline.forecasting.next_day.trading_calendar import TradingCalendar

BATCH = 20_000  # rows that a task returns at once
COLUMNS_AT_ONCE = 8
PARTS_AT_ONCE = 8  # whose rows are on their way at once
Selection = slice | np.ndarray  # of rows: a stretch of them, or bool[n]


@dataclass(frozen=True)
class NextDayRows:
    """n rows that are forecast from. inputs: float32[n, features]; symbol, day: int64[n], `day` that of the target;
    target: float64[n], shares."""

    inputs: np.ndarray
    symbol: np.ndarray
    day: np.ndarray
    target: np.ndarray

    def __len__(self) -> int:
        return len(self.day)

    def select(self, chosen: Selection) -> "NextDayRows":
        """The chosen rows; a stretch of them takes no memory of its own."""
        return NextDayRows(self.inputs[chosen], self.symbol[chosen], self.day[chosen], self.target[chosen])

    @property
    def base(self) -> np.ndarray:
        """The mean of log volume over a month, which forecasts are relative to. float64[n]."""
        return self.inputs[:, NAMES.index("base")].astype(np.float64)

    @property
    def logs(self) -> np.ndarray:
        """What is to be forecast: log(1 + V) of the target less `base`. float64[n]."""
        logs: np.ndarray = np.log1p(self.target) - self.base
        return logs


def collect_rows(
    spark: SparkSession, files: list[Path], etfs: frozenset[str], calendar: TradingCalendar, market: Market, plan: Plan
) -> dict[str, NextDayRows]:
    """The drawn rows of each of ROLES, sorted so that what a fold learns from stands first: see `select_learned`.

    Some parts at a time: on their way the rows take memory several times over.
    """

    def build(file: Path) -> Iterator[pa.RecordBatch]:
        rows, _, _ = read_symbol_rows(file, etfs)
        targets = find_targets(rows, calendar)
        known = np.flatnonzero(targets >= 0)
        roles = plan.draw(rows.symbol[known], rows.day[targets[known]])
        drawn = known[roles.any(axis=0)]
        roles = roles[:, roles.any(axis=0)]
        features = np.column_stack(list(build_features(rows, market, calendar, drawn).values()))
        symbol, day, target = rows.symbol[drawn], rows.day[targets[drawn]], rows.volume[targets[drawn]]
        for start in range(0, len(drawn), BATCH):
            part = slice(start, start + BATCH)
            columns = [pa.array(column[part]) for column in (*roles, symbol, day, target)]
            yield pa.RecordBatch.from_arrays([*columns, pack(features[part])], names)

    names = [*ROLES, "symbol", "day", "target", "inputs"]
    kinds = [*(f"{role} boolean" for role in ROLES), "symbol bigint, day bigint, target bigint, inputs binary"]
    found: dict[str, list[NextDayRows]] = {role: [] for role in ROLES}
    for start in range(0, len(files), PARTS_AT_ONCE):
        drawn = map_parts(spark, files[start : start + PARTS_AT_ONCE], ", ".join(kinds), build)
        for role, parts in found.items():
            parts.append(unpack(drawn.filter(drawn[role])))
        del drawn
        pa.default_memory_pool().release_unused()
    return {role: put_in_order(parts, plan) for role, parts in found.items()}


def unpack(table: pa.Table) -> NextDayRows:
    """The rows that a task packed."""
    symbol, day, target = (table[name].to_numpy() for name in ("symbol", "day", "target"))
    return NextDayRows(unpack_matrix(table["inputs"], np.float32, len(NAMES)), symbol, day, target.astype(np.float64))


def put_in_order(parts: list[NextDayRows], plan: Plan) -> NextDayRows:
    """The rows of all parts by day, those of symbols that are held out last.

    The list is emptied, and columns find their order a few at a time: so the rows never take twice their memory.
    """
    symbol, day, target = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("symbol", "day", "target")
    )
    order = np.lexsort((symbol, day, is_held_out(symbol) & plan.hold_out))
    inputs, end = np.empty((len(order), len(NAMES)), np.float32), len(order)
    while parts:
        part = parts.pop()
        inputs[end - len(part) : end] = part.inputs
        end -= len(part)
    for first in range(0, len(NAMES), COLUMNS_AT_ONCE):
        columns = slice(first, first + COLUMNS_AT_ONCE)
        inputs[:, columns] = inputs[order, columns]
    return NextDayRows(inputs, symbol[order], day[order], target[order])


def select_learned(rows: NextDayRows, plan: Plan, fold: Fold) -> NextDayRows:
    """What the models of a fold learn from. rows: drawn to learn from, see collect_rows; no copy of them is made."""
    return rows.select(slice(0, int(plan.learns(fold, is_held_out(rows.symbol), rows.day).sum())))
