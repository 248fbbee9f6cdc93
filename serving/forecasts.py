"""The table of next-day forecasts inside a bundle: a line of JSON a symbol, parsed when it is asked for."""

import json
from bisect import bisect_left
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILE = "symbols.jsonl"


@dataclass(frozen=True)
class Forecasts:
    """Forecasts by symbol. lines: symbol -> its line of the file; listing: (symbol, name) sorted by symbol."""

    lines: dict[str, bytes]
    listing: list[tuple[str, str]]

    def find(self, symbol: str) -> dict[str, Any] | None:
        line = self.lines.get(symbol) or self.lines.get(symbol.upper())
        return json.loads(line) if line else None

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
    lines, listing = {}, []
    for line in path.read_bytes().splitlines():
        entry = json.loads(line)
        lines[entry["symbol"]] = line
        listing.append((entry["symbol"], entry["name"] or ""))
    return Forecasts(lines, sorted(listing))
