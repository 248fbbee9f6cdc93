"""A folder that is kept current from the stand-in, and what the tests ask of it."""

from datetime import date
from pathlib import Path

from pipeline.update.bars import format_bars
from pipeline.update.listing import COLUMNS
from pipeline.update.market import update_folder
from pipeline.update.result import UpdateResult
from tests.update.stand_in import Security, StandIn, evening

QUICK = 5000.0  # requests a second: a server on loopback bears it


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


def rows_until(bars, day: date):
    return {other: bar for other, bar in bars.items() if other <= day}


def states(result) -> dict[str, str]:
    return {symbol: entry.state for symbol, entry in result.entries.items()}


def write_folder(root, securities: list[Security], today: date) -> None:
    """A folder as an update leaves it on the evening of `today`: the directory's metadata, and a CSV a symbol."""
    for folder in ("stocks", "etfs"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    names = [f"Y,{one.symbol},{one.symbol} Inc.,N, ,N,100,N,,,{one.symbol},N" for one in securities]
    (root / "symbols_valid_meta.csv").write_text("\n".join([",".join(COLUMNS), *sorted(names)]) + "\n")
    for one in securities:
        view = one.view(today)
        if view:
            folder = "stocks" if one.kind == "EQUITY" else "etfs"
            (root / folder / f"{one.symbol}.csv").write_bytes(format_bars(view))


def read_folder(root) -> dict[str, bytes]:
    """Path below the folder -> bytes, of all CSVs."""
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in sorted(root.glob("*/*.csv"))}
