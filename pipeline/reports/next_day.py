"""Tomorrow's numbers: the report's table of what the current model forecasts for the next trading day."""

import json
from collections import Counter
from datetime import date
from html import escape
from typing import Any

from pipeline.datasets.places import read_table
from pipeline.datasets.store import Version
from pipeline.errors import InputError
from pipeline.reports.markup import note, table

FILE = "symbols.jsonl"  # as training writes it
MOST_LINES = 20
LATE = (
    "They were made after that day's open, and do not count: what is scored is made between a close in New York and "
    "the next open."
)
LISTED = ("symbol", "name", "last_date", "date", "volume", "low", "high", "vol_moving_avg")


def read_next_day(model: Version, diary: Version | None = None) -> dict[str, Any] | None:
    """The forecasts of a model for the day that most of its symbols wait for, and who else there is; None where it has
    none. A symbol that has ended, or whose last row is late, has a forecast of an earlier day: nothing for tomorrow.

    diary: the dataset `forecasts`, where a forecast that came after its day's open is noted as late. Raises InputError
    where the model's are damaged.
    """
    path = model.path / FILE
    try:
        lines = [read_line(line) for line in path.read_bytes().splitlines()]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"{path} cannot be read ({type(error).__name__}: {error}): train again.") from None
    if not lines:
        return None
    counts = Counter(line["date"] for line in lines)
    day = max(counts, key=lambda other: (counts[other], other))
    coming = [line for line in lines if line["date"] == day]
    others = [line for line in lines if line["date"] != day]
    if len(coming) > MOST_LINES:
        coming.sort(key=lambda line: -line["volume"])
    return {
        "date": day,
        "symbols": counts[day],
        "late": diary is not None and are_late(diary, day, counts[day]),
        "listed": coming[:MOST_LINES],
        "others": len(others),
        "others_listed": sorted(others, key=lambda line: line["last_date"], reverse=True)[:MOST_LINES],
    }


def are_late(diary: Version, day: str, symbols: int) -> bool:
    """Whether the forecasts of a day, of so many symbols, came after its open. Where others had come in time before
    them, late ones are not noted at all.
    """
    filters = [("date", "=", date.fromisoformat(day)), ("late", "=", True)]
    newest = diary.files[-1:]  # what was noted last
    return int(read_table(newest, ["late"], filters=filters).num_rows) * 2 > symbols


def read_line(text: bytes) -> dict[str, Any]:
    """What a table tells of a line. Raises ValueError, KeyError or TypeError for anything else."""
    line = json.loads(text)
    found = {name: line.get(name) if name == "vol_moving_avg" else line[name] for name in LISTED}
    numbers = (found["vol_moving_avg"] or 0.0, found["volume"], found["low"], found["high"])
    texts = (found["name"] or "", found["symbol"], found["last_date"], found["date"])
    if not all(isinstance(one, int | float) for one in numbers) or not all(isinstance(one, str) for one in texts):
        raise TypeError("a number or a text is something else")
    return found


def next_day_table(run: dict[str, Any]) -> str:
    """The symbols, or the largest of many, with Volume and interval; below it those that have nothing for that day."""
    told = run.get("next_day")
    if not told:
        return ""
    rows = [
        [
            escape(f"{line['symbol']}, {line['name']}" if line["name"] else line["symbol"]),
            f"{line['volume']:,}{compare(line['volume'], line['vol_moving_avg'])}",
            f"{line['low']:,} to {line['high']:,}",
        ]
        for line in told["listed"]
    ]
    headings = ["symbol", "#shares (against its 30-day mean)", "#80% interval"]
    some = f" The {len(rows)} largest of {told['symbols']:,} symbols." if told["symbols"] > len(rows) else ""
    late = f" {LATE}" if told["late"] else ""
    return table(headings, rows) + note(f"Forecasts for {escape(told['date'])}.{late}{some}{tell_others(told)}")


def compare(volume: int, mean: float | None) -> str:
    """A forecast against the usual Volume: " (12% more)"; nothing where that is not known or 0."""
    if not mean:
        return ""
    return f" ({abs(volume / mean - 1):.0%} {'more' if volume >= mean else 'less'})"


def tell_others(told: dict[str, Any]) -> str:
    """Who has no forecast for the day, and why."""
    if not told["others"]:
        return ""
    named = [f"{escape(line['symbol'])} ({escape(line['last_date'])})" for line in told["others_listed"]]
    more = f" and {told['others'] - len(named):,} more" if told["others"] > len(named) else ""
    return f" None for that day, since their last row is not of the session before it: {', '.join(named)}{more}."
