"""The data contract: what each dataset holds, why a row is refused, and which published rows are suspicious."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

CSV_COLUMNS = ("Date", "Open", "High", "Low", "Close", "Adj Close", "Volume")
PRICE_COLUMNS = ("Open", "High", "Low", "Close", "Adj Close")

# Repeated text and dates are dictionary columns: a twentieth of the memory, and the Parquet files keep them so.
TEXT = pa.dictionary(pa.int32(), pa.string())

PRICES = pa.schema(
    [
        pa.field("Symbol", TEXT, nullable=False),
        pa.field("Security Name", TEXT),  # null where the metadata has no row for the symbol
        pa.field("Date", pa.date32(), nullable=False),
        *(pa.field(name, pa.float64(), nullable=False) for name in PRICE_COLUMNS),
        pa.field("Volume", pa.int64(), nullable=False),
    ]
)

FEATURES = pa.schema(
    [
        *PRICES,
        pa.field("vol_moving_avg", pa.float64()),  # null until the window is full
        pa.field("adj_close_rolling_med", pa.float64()),
    ]
)

SYMBOLS = pa.schema(
    [
        pa.field("Symbol", pa.string(), nullable=False),
        pa.field("Security Name", pa.string()),
        pa.field("kind", pa.string(), nullable=False),  # "stock" or "etf", by the folder
        pa.field("file", pa.string(), nullable=False),
        pa.field("data_rows", pa.int64(), nullable=False),  # lines of the file below its header
        pa.field("rows", pa.int64(), nullable=False),  # published
        pa.field("refused", pa.int64(), nullable=False),  # data_rows = rows + refused
        pa.field("first_date", pa.date32()),  # null where nothing was published
        pa.field("last_date", pa.date32()),
        pa.field("max_volume", pa.int64()),
        pa.field("total_volume", pa.int64()),
        pa.field("flagged", pa.int64(), nullable=False),  # published rows with at least one flag
    ]
)

# A row is a refused line, or lines one below the other that read the same, or a whole file.
QUARANTINE = pa.schema(
    [
        pa.field("file", pa.string(), nullable=False),
        pa.field("line", pa.int64()),  # the first one; 1 is the header; null for a whole file
        pa.field("text", pa.string(), nullable=False),  # its start; bytes that are not UTF-8 as \xNN
        pa.field("reason", pa.string(), nullable=False),  # a key of REASONS
        pa.field("rows", pa.int64(), nullable=False),  # how many lines; for a whole file its data rows
    ]
)

# A row is a published forecast of a symbol's next trading day. Rows are only ever added.
FORECASTS = pa.schema(
    [
        pa.field("made_at", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("symbol", pa.string(), nullable=False),
        pa.field("date", pa.date32(), nullable=False),  # the day that is forecast
        pa.field("volume", pa.int64(), nullable=False),
        pa.field("low", pa.int64(), nullable=False),  # of the 80% interval
        pa.field("high", pa.int64(), nullable=False),
        pa.field("naive", pa.int64(), nullable=False),  # geometric mean of the last five days
        pa.field("model", pa.string(), nullable=False),  # id of the version that was published
        pa.field("replay", pa.bool_(), nullable=False),  # made afterwards, as it would have been made then
        pa.field("late", pa.bool_(), nullable=False),  # made after the day's open: never scored
    ]
)

# A row is a forecast whose day has come, with what came. Rows are only ever added.
SCORES = pa.schema(
    [
        *(field for field in FORECASTS if field.name != "late"),
        pa.field("actual", pa.int64(), nullable=False),  # the day's Volume, first known, in the forecast's shares
        pa.field("error", pa.int64(), nullable=False),  # absolute, in shares
        pa.field("naive_error", pa.int64(), nullable=False),
        pa.field("inside", pa.bool_(), nullable=False),  # low <= actual <= high
    ]
)

REASONS = {
    "empty file": "The file has no byte in it.",
    "no data": "The file has a header and nothing below it.",
    "header": "The header lacks a column or names one twice, so no row can be read by name.",
    "encoding": "The row holds bytes that are not UTF-8, or a NUL byte.",
    "fields": "The row has more or fewer fields than the header, or a quote left open.",
    "blank": "At least one of the seven fields is empty.",
    "date": "Date is not a day written as YYYY-MM-DD, from 1678 to 2261 (what pandas can hold).",
    "number": "A price or the Volume is not a finite number.",
    "volume": "Volume is negative, not a whole number, or 2^53 and more, where doubles skip whole numbers.",
    "duplicate date": "The symbol has an earlier line of the same day; the first one was kept.",
}


@dataclass(frozen=True)
class Flag:
    """A sign that a well-formed row is wrong. It is published, counted, and left out of training.

    test: takes anything that answers rows["Adj Close"] and so on with something that compares (a pandas or Spark
    DataFrame, a dict of NumPy arrays) and returns the answer of the same kind, so that one rule serves them all.
    """

    meaning: str
    test: Callable[[Any], Any]


FLAGS: Mapping[str, Flag] = {
    "adj_close_not_positive": Flag("Adj Close is zero or negative.", lambda rows: rows["Adj Close"] <= 0),
    "adj_close_absurd": Flag("Adj Close is beyond a billion.", lambda rows: rows["Adj Close"] > 1e9),
    "high_below_low": Flag("High is below Low.", lambda rows: rows["High"] < rows["Low"]),
    "open_zero": Flag("Open is zero or negative.", lambda rows: rows["Open"] <= 0),
}


def flagged(rows: Any) -> Any:
    """True where at least one flag holds. rows and result: see Flag."""
    first, *others = (flag.test(rows) for flag in FLAGS.values())
    for other in others:
        first = first | other
    return first
