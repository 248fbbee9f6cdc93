"""How published forecasts did: the report's section and verdicts, out of the track record in the model's bundle."""

import json
from html import escape
from typing import Any

from pipeline.datasets.store import Version
from pipeline.errors import InputError
from pipeline.reports.markup import note, table
from pipeline.reports.skill import find_skill, tell_count, tell_skill

FILE = "track_record.json"
KINDS = ("live", "replay")
LIVE = "Live forecasts were published before their day's open, and scored when the day had come."
REPLAY = "Replayed ones were made afterwards, by a model that had learned from earlier days alone."


def read_track_record(model: Version) -> dict[str, Any] | None:
    """The track record of a model; None where it has none. Raises InputError where it is damaged."""
    path = model.path / FILE
    try:
        record = json.loads(path.read_bytes())
        for kind in KINDS:
            for window in (record[kind] or {"windows": {}})["windows"].values():
                tell_measures(window)
        if not all(isinstance(one, str) for one in record["doubts"]):
            raise TypeError("doubts must be sentences")
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"{path} cannot be read ({type(error).__name__}: {error}): train again.") from None
    return dict(record)


def tell_measures(window: dict[str, Any]) -> str:
    """A window in words."""
    skill = tell_skill(find_skill(window["mae"], window["naive_mae"]))
    counts = f"{tell_count(window['forecasts'], 'forecast')} of {tell_count(window['sessions'], 'session')}"
    return (
        f"{counts}, {tell_span(window)}: {window['coverage']:.1%} inside their 80% interval, error {skill} "
        f"{'to' if skill == 'equal' else 'than'} the naive answer's."
    )


def tell_span(window: dict[str, Any]) -> str:
    """From when to when a window is; its day, where it has only one."""
    first, last = str(window["from"]), str(window["to"])
    return first if first == last else f"{first} to {last}"


def tell_window(model: Version, kind: str, length: str) -> str:
    """What the last sessions of a kind were like; of the longest window if there is none of that length."""
    record = (read_track_record(model) or {}).get(kind)
    if not record:
        return "Nothing could be scored."
    windows = record["windows"]
    return tell_measures(windows.get(length) or windows[max(windows, key=int)])


def track_record_table(run: dict[str, Any]) -> str:
    """The last sessions in windows, live forecasts and replayed ones apart."""
    record = run.get("track_record")
    if not record:
        return ""
    rows = [tell_row(kind, window) for kind in KINDS for window in list_windows(record[kind])]
    if not rows:
        return note(
            "No published forecast has been scored yet: one made before its day's open is, once the day has come."
        )
    headings = ["kind", "last sessions", "#forecasts", "#in 80% interval", "#against naive"]
    return table(headings, rows) + note(f"{LIVE} {REPLAY if record['replay'] else ''}")


def list_windows(part: dict[str, Any] | None) -> list[dict[str, Any]]:
    """The windows of a kind: while all sessions fit into the shorter one, the longer one tells nothing more."""
    windows = part["windows"] if part else {}
    return list({window["sessions"]: window for window in windows.values()}.values())


def tell_row(kind: str, window: dict[str, Any]) -> list[str]:
    skill = tell_skill(find_skill(window["mae"], window["naive_mae"]))
    numbers = [f"{window['forecasts']:,}", f"{window['coverage']:.1%}", skill]
    return [kind, f"{window['sessions']:,}, {escape(tell_span(window))}", *numbers]
