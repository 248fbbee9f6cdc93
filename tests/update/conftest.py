"""Real prices for the stand-in, and an update of a folder from it."""

from contextlib import ExitStack
from datetime import date
from pathlib import Path

import pytest

from pipeline.update.bars import Bar, BarFile
from pipeline.update.market import UpdateResult, update_folder
from tests.conftest import MARKET_SAMPLE
from tests.update.stand_in import Security, StandIn, evening, serve, write_folder

SAMPLE = Path(__file__).parents[2] / "notebooks" / "sample"
ROWS = 400  # of each symbol: enough for all rules, quick to send
FILES = 40
QUICK = 5000.0  # requests a second: a server on loopback bears it


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


class Market:
    """A folder and the stand-in that it is updated from."""

    def __init__(self, root: Path, state: StandIn) -> None:
        self.root, self.state = root, state
        self.told: list[str] = []

    def update(self, day: date | None = None, **options) -> UpdateResult:
        """Update on the evening of a day, or at the instant of the stand-in's clock."""
        if day is not None:
            self.state.now = evening(day)
        self.state.log.clear()
        return update_folder(self.root, **{"rate": QUICK, "now": self.state.now, "tell": self.told.append} | options)

    def read(self, symbol: str) -> bytes:
        (path,) = self.root.glob(f"*/{symbol}.csv")
        return path.read_bytes()


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
