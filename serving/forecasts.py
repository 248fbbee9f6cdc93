"""The table of next-day forecasts inside a bundle: a line of JSON a symbol, parsed when it is asked for."""

import json
from bisect import bisect_left
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serving.table import FEATURES

FILE = "symbols.jsonl"


@dataclass(frozen=True)
class Forecasts:
    """Forecasts by symbol.

    lines: symbol -> its line of the file. listing: (symbol, name) sorted by symbol. day: the latest day that any is
    for, YYYY-MM-DD; "" without a forecast. typical: the two features of the last day of the middle symbol by
    vol_moving_avg; None where no symbol has them.
    """

    lines: dict[str, bytes]
    listing: list[tuple[str, str]]
    day: str
    typical: tuple[float, float] | None

    def find(self, symbol: str) -> dict[str, Any] | None:
        line = self.lines.get(symbol) or self.lines.get(symbol.upper())
        found: dict[str, Any] | None = json.loads(line) if line else None
        return found

    def complete(self, text: str, most: int = 20) -> list[dict[str, str]]:
        """Symbols that begin with a text, then those with the text in their name. At most `most` of them."""
        wanted = text.strip().upper()
        start = bisect_left(self.listing, (wanted, ""))
        found = []
        for symbol, name in self.listing[start : start + most]:
            if symbol.startswith(wanted):
                found.append((symbol, name))
        if len(found) < most and wanted:
            found += [entry for entry in self.listing if wanted in entry[1].upper() and entry not in found]
        return [{"symbol": symbol, "name": name} for symbol, name in found[:most]]


def read_forecasts(folder: Path) -> Forecasts | None:
    """The table of a bundle's folder; None where training made none."""
    path = folder / FILE
    if not path.exists():
        return None
    lines: dict[str, bytes] = {}
    listing: list[tuple[str, str]] = []
    dates: set[str] = set()
    features: list[tuple[float, float]] = []
    for line in path.read_bytes().splitlines():
        entry = json.loads(line)
        symbol, name = entry["symbol"], entry["name"] or ""
        if not (isinstance(symbol, str) and isinstance(name, str)):
            raise ValueError(f"{FILE}: symbol and name must be text")
        lines[symbol] = line
        listing.append((symbol, name))
        dates.add(str(entry["date"]))
        day = [entry.get(feature) for feature in FEATURES]
        if all(isinstance(value, int | float) for value in day):
            features.append((day[0], day[1]))
    typical = sorted(features)[len(features) // 2] if features else None
    return Forecasts(lines, sorted(listing), max(dates, default=""), typical)
