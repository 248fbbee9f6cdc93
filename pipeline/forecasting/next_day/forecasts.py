"""Tomorrow's Volume of every symbol, as the server tells it: a line of JSON a symbol, made once when the model is
published.
"""

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from pyspark.sql import SparkSession

from pipeline.forecasting.evaluation import as_served
from pipeline.forecasting.market_rows import number_symbols
from pipeline.forecasting.next_day.bands import LEVELS, Bands
from pipeline.forecasting.next_day.features import NAMES, build_features
from pipeline.forecasting.next_day.folds import format_day
from pipeline.forecasting.next_day.market import Market
from pipeline.forecasting.next_day.models import NAIVE, NextDayModel, repeat_five_days
from pipeline.forecasting.next_day.parts import holds_any, map_parts, pack, read_symbol_rows, unpack_matrix
from pipeline.forecasting.next_day.rows import NextDayRows
from pipeline.forecasting.next_day.symbol_rows import MONTH, QUARTER
from pipeline.forecasting.next_day.targets import find_targets
from pipeline.forecasting.next_day.trading_calendar import TradingCalendar

FILE = "symbols.jsonl"  # as serving reads it
ROLLING = ("vol_moving_avg", "adj_close_rolling_med")
SHOWN = [
    "mean_5",
    "mean_66",
    "spread",
    "abnormal",
    "market_1",
    "weekday",
    "to_month_end",
    "expiry",
    "quarterly_expiry",
    "half_day",
]


@dataclass(frozen=True)
class Answers:
    """What is served of n days, in whole shares: float64[n] each, quantiles float64[n, len(LEVELS)], rising."""

    volume: np.ndarray
    low: np.ndarray
    high: np.ndarray
    mean: np.ndarray
    naive: np.ndarray
    quantiles: np.ndarray

    def describe(self, place: int) -> dict[str, int | dict[str, int]]:
        """A day's answers by name, as a line of FILE has them."""
        single = {name: int(getattr(self, name)[place]) for name in ("volume", "low", "high", "mean", "naive")}
        quantiles = {f"{level:g}": int(share) for level, share in zip(LEVELS, self.quantiles[place], strict=True)}
        return {**single, "quantiles": quantiles}


def answer_rows(inputs: np.ndarray, model: NextDayModel, bands: Bands) -> Answers:
    """The answers for days whose features are known, float32[n, features]."""
    volume = model.forecast(inputs)
    outlook = bands.apply(inputs, volume)
    naive = NextDayModel(NAIVE, repeat_five_days, 0).forecast(inputs)
    told = (volume, outlook.low, outlook.high, outlook.mean, naive, outlook.quantiles)
    return Answers(*(as_served(values) for values in told))


def write_forecasts(
    folder: Path,
    last: pa.Table,
    model: NextDayModel,
    bands: Bands,
    calendar: TradingCalendar,
    symbols: pd.DataFrame,
) -> int:
    """Write symbols.jsonl: for each symbol of `last` (see collect_last_rows) the forecast for the session after its
    last row.

    symbols: the dataset `symbols`. Returns how many lines were written.
    """
    inputs = unpack_inputs(last)
    answers = answer_rows(inputs, model, bands)
    known = symbols.set_index("Symbol")
    lines = []
    for place, row in enumerate(last.drop_columns(["inputs"]).to_pylist()):
        facts = known.loc[row["symbol"]]
        session = calendar.find_session(np.array([row["days"][-1]]))[0]
        line = {
            "symbol": row["symbol"],
            "name": facts["Security Name"] if isinstance(facts["Security Name"], str) else None,
            "kind": facts["kind"],
            "last_date": format_day(row["days"][-1]),
            "date": format_day(calendar.days[session + 1]),
            **answers.describe(place),
            "model": model.name,
            "features": {name: round_known(inputs[place, NAMES.index(name)], 4) for name in SHOWN},
            "recent": {
                "dates": [format_day(day) for day in row["days"]],
                "volume": row["volumes"],
                "vol_moving_avg": [round_known(value, 2) for value in row["means"]],
            },
            **{name: round_known(row[name]) for name in ROLLING},
        }
        lines.append(json.dumps(line, separators=(",", ":"), allow_nan=False) + "\n")
    (folder / FILE).write_text("".join(lines))
    return len(lines)


def unpack_inputs(table: pa.Table) -> np.ndarray:
    """The features of the rows that collect_last_rows or collect_past_rows found. float32[n, features]."""
    return unpack_matrix(table["inputs"], np.float32, len(NAMES))


def choose_example(rows: NextDayRows, symbols: pd.DataFrame) -> str:
    """The largest of the stocks among these rows, or of all symbols where there is no stock. symbols: see
    write_forecasts.
    """
    names, kinds = symbols["Symbol"].tolist(), symbols["kind"].tolist()
    keys, of_row = np.unique(rows.symbol, return_inverse=True)
    means = dict(zip(keys.tolist(), np.bincount(of_row, rows.base) / np.bincount(of_row), strict=True))
    sizes = [
        (kind == "stock", means[key], name)
        for key, kind, name in zip(number_symbols(names).tolist(), kinds, names, strict=True)
        if key in means
    ]
    return str(max(sizes)[-1])


def round_known(value: float | None, digits: int = 6) -> float | None:
    """A number to so many decimals; None, which JSON writes as null, for one that is not known."""
    return None if value is None or np.isnan(value) else round(float(value), digits)


def collect_last_rows(
    spark: SparkSession, files: list[Path], etfs: frozenset[str], calendar: TradingCalendar, market: Market
) -> pa.Table:
    """The last row of each symbol that can be forecast from, with its features and its last quarter, sorted by symbol.

    It can if it has a month of history, no flag, and lies on a session. Columns: symbol; inputs, packed; days,
    volumes, means (lists, oldest first); vol_moving_avg, adj_close_rolling_med (NaN where null).
    """

    def find(file: Path) -> Iterator[pa.RecordBatch]:
        rows, names, table = read_symbol_rows(file, etfs, ROLLING)
        last = rows.starts[1:] - 1
        good = (rows.age[last] >= MONTH) & rows.usable[last] & (calendar.find_session(rows.day[last]) >= 0)
        chosen = np.flatnonzero(good)
        features = np.column_stack(list(build_features(rows, market, calendar, last[chosen]).values()))
        mean, median = (table[name].to_numpy() for name in ROLLING)
        stretches = [slice(max(rows.starts[place], last[place] + 1 - QUARTER), last[place] + 1) for place in chosen]
        columns = {
            "symbol": pa.array([names[place] for place in chosen], pa.string()),
            "inputs": pack(features),
            "days": pa.array([rows.day[stretch] for stretch in stretches], pa.list_(pa.int64())),
            "volumes": pa.array([rows.volume[stretch] for stretch in stretches], pa.list_(pa.int64())),
            "means": pa.array([mean[stretch] for stretch in stretches], pa.list_(pa.float64())),
            ROLLING[0]: pa.array(mean[last[chosen]], pa.float64()),
            ROLLING[1]: pa.array(median[last[chosen]], pa.float64()),
        }
        yield pa.RecordBatch.from_pydict(columns)

    schema = (
        "symbol string, inputs binary, days array<bigint>, volumes array<bigint>, means array<double>, "
        "vol_moving_avg double, adj_close_rolling_med double"
    )
    return map_parts(spark, files, schema, find).sort_by("symbol")


def collect_past_rows(
    spark: SparkSession,
    files: list[Path],
    etfs: frozenset[str],
    calendar: TradingCalendar,
    market: Market,
    span: tuple[int, int],
    symbols: Collection[str],
) -> pa.Table:
    """What was known before each session from day span[0] until before span[1], for the named symbols.

    Columns: symbol; day, of the session, since 1970-01-01; volume, what came, shares; inputs, packed. Sorted by symbol
    and day.
    """
    wanted = frozenset(symbols)

    def find(file: Path) -> Iterator[pa.RecordBatch]:
        if not holds_any(file, wanted):
            return
        rows, every, _ = read_symbol_rows(file, etfs)
        asked = np.array([name in wanted for name in every])
        rows, names = rows.select_symbols(asked), [name for name in every if name in wanted]
        targets = find_targets(rows, calendar)
        day = rows.day[targets]
        chosen = np.flatnonzero((targets >= 0) & (span[0] <= day) & (day < span[1]))
        features = np.column_stack(list(build_features(rows, market, calendar, chosen).values()))
        of_row = np.searchsorted(rows.starts, chosen, side="right") - 1
        columns = {
            "symbol": pa.array([names[place] for place in of_row], pa.string()),
            "day": pa.array(day[chosen]),
            "volume": pa.array(rows.volume[targets[chosen]]),
            "inputs": pack(features),
        }
        yield pa.RecordBatch.from_pydict(columns)

    schema = "symbol string, day bigint, volume bigint, inputs binary"
    return map_parts(spark, files, schema, find).sort_by([("symbol", "ascending"), ("day", "ascending")])
