"""How published forecasts did, as training notes it in a bundle."""

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILE, LINES = "track_record.json", "past_forecasts.jsonl"
FORMAT = 1
KINDS = ("live", "replay")
NUMBERS = ("sessions", "forecasts", "mae", "naive_mae", "skill", "coverage")
COLUMNS = ("volume", "low", "high", "naive", "actual")

log = logging.getLogger("serving")


@dataclass(frozen=True)
class TrackRecord:
    """summary: what track_record.json holds, live forecasts and replayed ones apart. lines: symbol -> its line of
    past_forecasts.jsonl.
    """

    summary: dict[str, Any]
    lines: dict[str, bytes]

    @property
    def doubts(self) -> list[str]:
        """Why not to trust the model by its live record, as sentences."""
        found: list[str] = self.summary["doubts"]
        return found

    def find(self, symbol: str) -> dict[str, Any] | None:
        line = self.lines.get(symbol) or self.lines.get(symbol.upper())
        found: dict[str, Any] | None = json.loads(line) if line else None
        return found


NOTHING = TrackRecord({"format": FORMAT, "live": None, "replay": None, "doubts": []}, {})


def describe_nothing(symbol: str) -> dict[str, Any]:
    """What there is to tell of a symbol none of whose forecasts has been scored."""
    return {"symbol": symbol, "replay": False, "dates": [], **{name: [] for name in COLUMNS}}


def read_track_record(folder: Path) -> TrackRecord:
    """The track record in a bundle's folder; an empty one where there is none. One that cannot be understood is told in
    its doubts, and stops no model.
    """
    if not (folder / FILE).exists():
        return NOTHING
    try:
        summary = json.loads((folder / FILE).read_bytes())
        check_summary(summary)
        lines = {}
        for line in (folder / LINES).read_bytes().splitlines():
            entry = json.loads(line)
            if len({len(entry[name]) for name in (*COLUMNS, "dates")}) != 1:
                raise ValueError("columns of different length")
            lines[str(entry["symbol"])] = line
    except Exception as error:  # whatever a file of unforeseen content leads to
        why = f"The track record of this model cannot be read ({type(error).__name__}: {str(error)[:200]})."
        log.error("%s: %s", folder, why)
        return TrackRecord({**NOTHING.summary, "doubts": [why]}, {})
    return TrackRecord(summary, lines)


def check_summary(summary: dict[str, Any]) -> None:
    """What the page shows must be there. Raises ValueError, or what a wrong type leads to."""
    if summary["format"] != FORMAT or not all(isinstance(one, str) for one in summary["doubts"]):
        raise ValueError("another format")
    for kind in KINDS:
        for window in ((summary[kind] or {}).get("windows") or {}).values():
            if not all(isinstance(window[name], int | float) for name in NUMBERS):
                raise ValueError(f"a window of {kind} lacks a number")
        for day in (summary[kind] or {}).get("days", ()):
            if not isinstance(day["date"], str) or not 0 <= day["coverage"] <= 1:
                raise ValueError(f"a day of {kind} is not whole")
