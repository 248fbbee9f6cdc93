"""A small market with known answers, published as `features`, for the forecasts to learn from."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pipeline.datasets.contract import PRICES
from pipeline.datasets.parts import keep_attempts, write_attempt
from pipeline.features.write import add_features
from pipeline.forecasting.next_day.trading_calendar import open_calendar

LAST_DAY = 17_000  # 2016-07-18
ROWS = 900  # a symbol


@pytest.fixture(scope="session")
def calendar():
    return open_calendar(LAST_DAY)


def make_prices(calendar, names: list[str], seed: int) -> pa.Table:
    """Symbols that trade on every session up to LAST_DAY: volumes of all sizes that jump around their level."""
    draw = np.random.default_rng(seed)
    days = calendar.days[calendar.days <= LAST_DAY][-ROWS:]
    size = len(names) * ROWS
    level = np.repeat(10 ** draw.uniform(3, 7, len(names)), ROWS)
    volume = np.rint(level * np.exp(draw.normal(0, 0.5, size))).astype(np.int64)
    close = 50 * np.exp(np.cumsum(draw.normal(0, 0.01, size)))
    high, low = close * 1.01, close * 0.99
    index = pa.array(np.repeat(np.arange(len(names), dtype=np.int32), ROWS))
    nothing = pa.DictionaryArray.from_arrays(pa.nulls(size, pa.int32()), pa.array([], pa.string()))
    symbols = pa.DictionaryArray.from_arrays(index, pa.array(names))
    dates = pa.array(np.tile(days, len(names)).astype(np.int32)).cast(pa.date32())
    return pa.table([symbols, nothing, dates, close, high, low, close, close, volume], schema=PRICES)


@pytest.fixture(scope="session")
def market_files(tmp_path_factory, calendar) -> list[Path]:
    """Three parts of `features` with ten symbols each."""
    folder = tmp_path_factory.mktemp("features")
    tables = [make_prices(calendar, [f"S{part}{number}" for number in range(10)], part) for part in range(3)]
    parts = keep_attempts(folder, [write_attempt(add_features(table, 30, "rows"), folder) for table in tables])
    return [folder / part.name for part in parts]
