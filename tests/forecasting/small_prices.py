"""A small market with known answers, for the forecasts to learn from."""

from pathlib import Path

import numpy as np
import pyarrow as pa

from pipeline.datasets.contract import PRICES
from pipeline.datasets.parts import keep_attempts, write_attempt
from pipeline.features.write import add_features
from pipeline.forecasting.next_day.trading_calendar import TradingCalendar

LAST_DAY = 17_000  # 2016-07-18
ROWS = 900  # a symbol


def make_prices(
    calendar: TradingCalendar, names: list[str], seed: int, rows: int = ROWS, spread: float = 0.5
) -> pa.Table:
    """Symbols that trade on every session up to LAST_DAY: volumes of all sizes that jump around their level."""
    draw = np.random.default_rng(seed)
    days = calendar.days[calendar.days <= LAST_DAY][-rows:]
    size = len(names) * rows
    level = np.repeat(10 ** draw.uniform(3, 7, len(names)), rows)
    volume = np.rint(level * np.exp(draw.normal(0, spread, size))).astype(np.int64)
    close = 50 * np.exp(np.cumsum(draw.normal(0, 0.01, size)))
    high, low = close * 1.01, close * 0.99
    index = pa.array(np.repeat(np.arange(len(names), dtype=np.int32), rows))
    nothing = pa.DictionaryArray.from_arrays(pa.nulls(size, pa.int32()), pa.array([], pa.string()))
    symbols = pa.DictionaryArray.from_arrays(index, pa.array(names))
    dates = pa.array(np.tile(days, len(names)).astype(np.int32)).cast(pa.date32())
    return pa.table([symbols, nothing, dates, close, high, low, close, close, volume], schema=PRICES)


def write_part(folder: Path, prices: pa.Table) -> Path:
    """A part of `features` made of such prices."""
    (part,) = keep_attempts(folder, [write_attempt(add_features(prices, 30, "rows"), folder)])
    return folder / part.name
