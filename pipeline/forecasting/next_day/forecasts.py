"""Tomorrow's Volume of every symbol, as the server tells it: a line of JSON a symbol, made once when the model is
published.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from pyspark.sql import SparkSession

from pipeline.forecasting.evaluation import as_served
from pipeline.forecasting.intervals import SizeClasses
from pipeline.forecasting.next_day.features import MONTH, NAMES, QUARTER, Market, build_features
from pipeline.forecasting.next_day.models import NextDayModel
from pipeline.forecasting.next_day.parts import map_parts, pack, read_symbol_rows, unpack_matrix
from pipeline.forecasting.next_day.trading_calendar import TradingCalendar

FILE = "symbols.jsonl"  # as serving reads it
ROLLING = ["vol_moving_avg", "adj_close_rolling_med"]
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


def write_forecasts(
    folder: Path,
    last: pa.Table,
    model: NextDayModel,
    classes: SizeClasses,
    calendar: TradingCalendar,
    symbols: pd.DataFrame,
) -> int:
    """Write symbols.jsonl: for each symbol of `last` (see collect_last_rows) the forecast for the session after its
    last row.

    symbols: the dataset `symbols`. Returns how many lines were written.
    """
    inputs = unpack_matrix(last["inputs"], np.float32, len(NAMES))
    volume = model.forecast(inputs)
    low, high = classes.apply(inputs[:, NAMES.index("base")], volume)
    table = last.drop_columns(["inputs"]).to_pylist()
    known = symbols.set_index("Symbol")
    lines = []
    for row, features, *numbers in zip(
        table, inputs, volume, np.minimum(low, volume), np.maximum(high, volume), strict=True
    ):
        facts = known.loc[row["symbol"]]
        session = calendar.find_session(np.array([row["days"][-1]]))[0]
        forecast = dict(zip(("volume", "low", "high"), (int(as_served(number)) for number in numbers), strict=True))
        line = {
            "symbol": row["symbol"],
            "name": facts["Security Name"] if isinstance(facts["Security Name"], str) else None,
            "kind": facts["kind"],
            "last_date": format_day(row["days"][-1]),
            "date": format_day(calendar.days[session + 1]),
            **forecast,
            "model": model.name,
            "features": {name: round_known(features[NAMES.index(name)], 4) for name in SHOWN},
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


def round_known(value: float | None, digits: int = 6) -> float | None:
    """A number to so many decimals; None, which JSON writes as null, for one that is not known."""
    return None if value is None or np.isnan(value) else round(float(value), digits)


def format_day(day: int) -> str:
    return str(np.datetime64(int(day), "D"))


def collect_last_rows(
    spark: SparkSession, files: list[Path], etfs: frozenset[str], calendar: TradingCalendar, market: Market
) -> pa.Table:
    """The last row of each symbol that can be forecast from, with its features and its last quarter, sorted by symbol.

    It can if it has a month of history, no flag, and lies on a session. Columns: symbol; inputs, packed; days,
    volumes, means (lists, oldest first); vol_moving_avg, adj_close_rolling_med (NaN where null).
    """

    def find(file: Path) -> Iterator[pa.RecordBatch]:
        rows, names, table = read_symbol_rows(file, etfs)
        last = rows.starts[1:] - 1
        good = (rows.age[last] >= MONTH) & rows.usable[last] & (calendar.find_session(rows.day[last]) >= 0)
        chosen = np.flatnonzero(good)
        features = np.column_stack([column[last[chosen]] for column in build_features(rows, market, calendar).values()])
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
