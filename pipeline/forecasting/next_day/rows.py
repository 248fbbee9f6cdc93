"""Rows for the next-day model out of `features`, by Spark: tasks build the causal features, only what is asked for
comes back.

A task holds one part, which is whole symbols. A first pass adds up the market of each day, a second builds the
features beside it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import SparkSession

from pipeline.datasets.contract import flagged
from pipeline.errors import InputError
from pipeline.features.rolling import find_starts
from pipeline.forecasting.market_rows import is_held_out, number_symbols
from pipeline.forecasting.next_day.features import (
    FEATURES,
    MONTH,
    NAIVE,
    Market,
    SymbolRows,
    average_market,
    build_features,
    find_targets,
    naive_answers,
    sum_market,
)
from pipeline.forecasting.next_day.trading_calendar import EFFECTS, TradingCalendar

COLUMNS = ["Symbol", "Date", "Open", "High", "Low", "Adj Close", "Volume", "vol_moving_avg", "adj_close_rolling_med"]
PERIODS = ("train", "calibration", "test")
TO_DO = ("train on", "calibrate on", "test on")
BATCH = 20_000  # rows that a task returns at once
HASHES = 2**32


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


@dataclass(frozen=True)
class Plan:
    """Which rows belong to which period, and which share of them comes back.

    Rows train until `calibration_day`, calibrate until `test_day`, and test from then on. Days since 1970-01-01, of
    the target. With `hold_out`, one symbol in five calibrates and tests, and the others train; without, all do both.
    """

    calibration_day: int
    test_day: int
    shares: tuple[float, float, float] = (0.0, 0.0, 0.0)  # of PERIODS
    hold_out: bool = True

    def find_times(self, day: np.ndarray) -> np.ndarray:
        """Position in PERIODS of each day, whoever's. int64[n] each."""
        return np.searchsorted([self.calibration_day, self.test_day], day, side="right")

    def find_periods(self, symbol: np.ndarray, day: np.ndarray) -> np.ndarray:
        """Position in PERIODS of each row, -1 for none. int64[n] each."""
        period = self.find_times(day)
        return np.where(is_held_out(symbol) == (period > 0), period, -1) if self.hold_out else period

    def choose_symbols(self, counts: np.ndarray) -> tuple["Plan", np.ndarray]:
        """The plan that holds symbols out, or does not where too few are there, and how many rows its PERIODS have.

        counts: int64[2, 3], rows by whether their symbol is one of those to hold out, and by find_times. Raises
        InputError if a period has none either way.
        """
        apart, together = np.array([counts[0, 0], *counts[1, 1:]]), counts.sum(axis=0)
        if not together.all():
            found = ", ".join(f"{count:,} to {name}" for count, name in zip(together, TO_DO, strict=True))
            raise InputError(
                f"The next-day model finds {found} among the pairs of consecutive sessions of the New York exchange, "
                f"of a symbol with {MONTH} days before them: NEXT_DAY=false trains the other model alone."
            )
        return (self, apart) if apart.all() else (replace(self, hold_out=False), together)

    def draw_at_most(self, rows: int, counts: np.ndarray) -> "Plan":
        """The plan that draws about `rows` rows to train on and a quarter of that for each of the other periods.

        Or all where there are fewer. counts: int64[3], rows of PERIODS.
        """
        wanted = (rows, rows // 4, rows // 4)
        return replace(
            self, shares=tuple(min(1.0, most / max(1, count)) for most, count in zip(wanted, counts, strict=True))
        )

    def draw(self, symbol: np.ndarray, day: np.ndarray) -> np.ndarray:
        """The periods of rows, -1 also for those that are not drawn. A row's luck hangs on its symbol and day alone."""
        period = self.find_periods(symbol, day)
        luck = mix(symbol * 65_537 + day) / HASHES
        return np.where(luck < np.array([*self.shares, 0.0])[period], period, -1)


def mix(values: np.ndarray) -> np.ndarray:
    """Scatter whole numbers over 0 to 2^32 (the finalizer of MurmurHash3). int64[n] each."""
    mixed = values.astype(np.uint64) & 0xFFFFFFFF
    for factor, step in ((0x85EBCA6B, 16), (0xC2B2AE35, 13)):
        mixed = ((mixed ^ (mixed >> np.uint64(step))) * factor) & 0xFFFFFFFF
    return (mixed ^ (mixed >> np.uint64(16))).astype(np.int64)


def read_symbol_rows(file: Path, etfs: frozenset[str]) -> tuple[SymbolRows, list[str], pa.Table]:
    """All rows of a part, the names of its symbols, and the table they come from."""
    table = pq.read_table(file, columns=COLUMNS)
    arrays = {name: table[name].to_numpy() for name in COLUMNS[2:]}
    symbols = table["Symbol"].combine_chunks()
    starts = find_starts(symbols.indices.to_numpy())
    names = [symbols[int(start)].as_py() for start in starts[:-1]] if len(symbols) else []
    rows = SymbolRows(
        starts,
        np.array([name in etfs for name in names], dtype=bool),
        number_symbols(names),
        table["Date"].cast(pa.int32()).to_numpy().astype(np.int64),
        arrays["Volume"],
        arrays["Adj Close"],
        arrays["High"],
        arrays["Low"],
        ~flagged(arrays),
    )
    return rows, names, table


def map_parts(
    spark: SparkSession, files: list[Path], schema: str, work: Callable[[Path], Iterator[pa.RecordBatch]]
) -> pa.Table:
    """Run `work` on every part in a task of its own; what the tasks return, in the order of the parts."""
    paths = [path.resolve() for path in files]

    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for number in batch["id"].to_pylist():
                yield from work(paths[number])

    return spark.range(0, len(paths), 1, len(paths)).mapInArrow(run, schema).toArrow()


def collect_market(
    spark: SparkSession, files: list[Path], etfs: frozenset[str], calendar: TradingCalendar, plan: Plan
) -> tuple[Market, np.ndarray]:
    """The market day by day, and the rows that can be drawn, as Plan.choose_symbols takes them (int64[2, 3])."""

    def add_up(file: Path) -> Iterator[pa.RecordBatch]:
        rows, _, _ = read_symbol_rows(file, etfs)
        targets = find_targets(rows, calendar)
        known = targets >= 0
        held_out = is_held_out(spread_symbols(rows)[known])
        place = held_out * len(PERIODS) + plan.find_times(rows.day[targets[known]])
        counts = np.bincount(place, minlength=2 * len(PERIODS)).astype(np.int64)
        yield pa.RecordBatch.from_pydict({"sums": [sum_market(rows, calendar).tobytes()], "counts": [counts.tobytes()]})

    parts = map_parts(spark, files, "sums binary, counts binary", add_up)
    sums, counts = (
        np.sum([np.frombuffer(part.as_py(), np.int64) for part in parts[name]], axis=0) for name in ("sums", "counts")
    )
    return average_market(sums.reshape(3, -1)), counts.reshape(2, len(PERIODS))


def spread_symbols(rows: SymbolRows) -> np.ndarray:
    """The symbol's number of each row. int64[n]."""
    return np.repeat(rows.key, np.diff(rows.starts))


def collect_rows(
    spark: SparkSession, files: list[Path], etfs: frozenset[str], calendar: TradingCalendar, market: Market, plan: Plan
) -> dict[str, NextDayRows]:
    """The drawn rows of each of PERIODS, sorted by symbol and day."""

    def build(file: Path) -> Iterator[pa.RecordBatch]:
        rows, _, _ = read_symbol_rows(file, etfs)
        targets = find_targets(rows, calendar)
        known = np.flatnonzero(targets >= 0)
        symbol, day = spread_symbols(rows)[known], rows.day[targets[known]]
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


def pack(matrix: np.ndarray) -> pa.Array:
    """A matrix as one binary value a row: half a hundred columns cost as much as one."""
    width = matrix.shape[1] * matrix.itemsize
    data = pa.py_buffer(np.ascontiguousarray(matrix).tobytes())
    return pa.Array.from_buffers(pa.binary(width), len(matrix), [None, data]).cast(pa.binary())


def unpack(table: pa.Table) -> NextDayRows:
    """The rows that a task packed."""
    inputs = unpack_matrix(table["inputs"], np.float32, len(FEATURES) + len(EFFECTS))
    answers = unpack_matrix(table["answers"], np.float64, len(NAIVE))
    symbol, day, target = (table[name].to_numpy() for name in ("symbol", "day", "target"))
    naive = {name: answers[:, place] for place, name in enumerate(NAIVE)}
    return NextDayRows(inputs, symbol, day, target.astype(np.float64), naive)


def unpack_matrix(column: pa.ChunkedArray, kind: type, width: int) -> np.ndarray:
    """The matrix whose rows were packed, kind[n, width], without a Python object a row."""
    fixed = pa.binary(width * np.dtype(kind).itemsize)
    chunks = [chunk.cast(fixed) for chunk in column.chunks]
    parts: list[np.ndarray] = [
        np.frombuffer(chunk.buffers()[1], kind)[chunk.offset * width :][: len(chunk) * width]
        for chunk in chunks
        if len(chunk)
    ]
    return np.concatenate([*parts, np.empty(0, kind)]).reshape(-1, width)
