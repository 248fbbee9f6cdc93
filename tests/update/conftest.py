"""Real prices for the stand-in, and a folder to update from it."""

from datetime import date
from pathlib import Path

import pytest

from pipeline.update.bars import Bar, BarFile
from tests.conftest import MARKET_SAMPLE
from tests.update.stand_in import Security, StandIn, evening, serve

SAMPLE = Path(__file__).parents[2] / "notebooks" / "sample"
ROWS = 400  # of each symbol: enough for all rules, quick to send


@pytest.fixture(scope="session")
def real_bars() -> list[dict[date, Bar]]:
    """The last rows of real symbols that all end on one day, at most 60 of them."""
    root = Path(MARKET_SAMPLE) if MARKET_SAMPLE else SAMPLE
    found = []
    for path in sorted(root.glob("stocks/*.csv")):
        bars = BarFile.parse(path.read_bytes()).bars
        last = sorted(bars)[-ROWS:]
        if len(last) > 150 and all(bars[day].adj_close > 0 and bars[day].open > 0 for day in last):
            found.append({day: bars[day] for day in last})
    end = max(max(bars) for bars in found)
    return [bars for bars in found if max(bars) == end][:60]


@pytest.fixture
def market(real_bars, monkeypatch, tmp_path):
    """Makes a stand-in of a few plain securities on the evening of a day: `market()` gives it, served."""
    pytest.importorskip("yfinance", reason="pip install -r pipeline/update/requirements.txt")
    from contextlib import ExitStack

    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    with ExitStack() as stack:

        def make(securities: list[Security], today: date) -> StandIn:
            state = stack.enter_context(serve(StandIn(securities, evening(today))))
            monkeypatch.setenv("YAHOO_URL", state.url)
            monkeypatch.setenv("NASDAQ_URL", state.url)
            return state

        yield make
