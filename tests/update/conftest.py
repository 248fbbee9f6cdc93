"""Real prices for the stand-in, and an update of a folder from it."""

from contextlib import ExitStack
from datetime import date
from pathlib import Path

import pytest

from pipeline.update.bars import Bar, BarFile
from tests.conftest import MARKET_SAMPLE
from tests.update.market import Market, write_folder
from tests.update.stand_in import Security, StandIn, evening, serve

SAMPLE = Path(__file__).parents[2] / "notebooks" / "sample"
ROWS = 400  # of each symbol: enough for all rules, quick to send
FILES = 40


@pytest.fixture(scope="session")
def real_bars() -> list[dict[date, Bar]]:
    """The last rows of real stocks that all end on one day."""
    root = Path(MARKET_SAMPLE) if MARKET_SAMPLE else SAMPLE
    found = []
    for path in sorted(root.glob("stocks/*.csv"))[:FILES]:
        header, *lines = path.read_bytes().splitlines(keepends=True)
        bars = BarFile.parse(b"".join([header, *lines[-ROWS:]])).bars
        if len(bars) > 150 and all(bar.open > 0 and bar.close > 1 and bar.adj_close > 0 for bar in bars.values()):
            found.append(bars)
    end = max(max(bars) for bars in found)
    return [bars for bars in found if max(bars) == end]


@pytest.fixture
def days(real_bars) -> list[date]:
    """The days of the real prices, in order."""
    return sorted(max(real_bars, key=len))


@pytest.fixture
def open_market(tmp_path, monkeypatch):
    """`open_market(securities, day)`: a folder that was last updated on the evening of that day, and its stand-in."""
    pytest.importorskip("yfinance", reason="pip install -r pipeline/update/requirements.txt")
    with ExitStack() as stack:

        def open_one(securities: list[Security], day: date) -> Market:
            state = stack.enter_context(serve(StandIn(securities, evening(day))))
            monkeypatch.setenv("YAHOO_URL", state.url)
            monkeypatch.setenv("NASDAQ_URL", state.url)
            root = tmp_path / "market"
            write_folder(root, securities, day)
            return Market(root, state)

        yield open_one
