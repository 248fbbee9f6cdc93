"""A small market, published as `features`, for the forecasts to learn from."""

from pathlib import Path

import pytest
from small_prices import LAST_DAY, make_prices

from pipeline.datasets.parts import keep_attempts, write_attempt
from pipeline.features.write import add_features
from pipeline.forecasting.next_day.trading_calendar import open_calendar


@pytest.fixture(scope="session")
def calendar():
    return open_calendar(LAST_DAY)


@pytest.fixture(scope="session")
def market_files(tmp_path_factory, calendar) -> list[Path]:
    """Three parts of `features` with ten symbols each."""
    folder = tmp_path_factory.mktemp("features")
    tables = [make_prices(calendar, [f"S{part}{number}" for number in range(10)], part) for part in range(3)]
    parts = keep_attempts(folder, [write_attempt(add_features(table, 30, "rows"), folder) for table in tables])
    return [folder / part.name for part in parts]
