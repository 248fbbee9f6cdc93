"""What became of each symbol: FOLDER/updates.json, and a journal while an update is at work.

An outcome is a line at the end of the journal, so that a killed update loses none and 8,000 symbols cost 8,000 lines.
The next update, or the end of this one, makes them a new updates.json.
"""

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from typing import Any

import pandas as pd

from pipeline.datasets.journal import Journal, open_journal, read_journal
from pipeline.datasets.places import Place
from pipeline.update.folder import JOURNAL, MarketFolder, explain_full

LEDGER = "updates.json"
STATES = {
    "appended": "rows were added",
    "restated": "the past had changed (dividend, split): all rows are new",
    "new": "the file is new",
    "current": "nothing to add",
    "behind": "Yahoo does not have the last session yet",
    "held": "cannot be explained: nothing was written",
    "missing": "Yahoo has no rows",
    "delisted": "no longer in NASDAQ's directory; the file stays",
    "refused": "Yahoo refused to answer",
    "failed": "no answer that could be read",
}
UP_TO_DATE = frozenset({"appended", "restated", "new", "current"})
IDENTIFIED = UP_TO_DATE | {"behind"}  # the file is of the security that now has the symbol
COLUMNS = ("state", "through", "rows", "added", "note")


@dataclass(frozen=True)
class Entry:
    """What became of a symbol. through: its last day, "" without a row. rows: in its file. added: in this update.

    revised: rows that Yahoo had changed. session: the final session when it was asked for, "" if it never was. asked:
    when. whole: the session in which all of its rows were fetched. tries: for how many sessions in a row Yahoo had no
    rows. absences: for how many sessions in a row, the last being `missed`, the directory has not listed it.
    """

    state: str
    through: str = ""
    rows: int = 0
    added: int = 0
    note: str = ""
    revised: int = 0
    session: str = ""
    asked: str = ""
    whole: str = ""
    tries: int = 0
    absences: int = 0
    missed: str = ""


class Ledger:
    """The entries of a folder by symbol, the journal's included. Made by `open_ledger`."""

    def __init__(self, entries: dict[str, Entry], journal: Journal, path: Place) -> None:
        self.entries = entries
        self.journal = journal
        self.path = path

    def get(self, symbol: str) -> Entry | None:
        return self.entries.get(symbol)

    def put(self, symbol: str, entry: Entry) -> None:
        self.entries[symbol] = entry
        try:
            self.journal.add(json.dumps({symbol: shorten(entry)}))
        except OSError as error:
            raise explain_full(self.path, error) from error


@contextmanager
def open_ledger(folder: MarketFolder) -> Iterator[Ledger]:
    """The ledger of a folder, for writing. updates.json is replaced at the end of the block, however it ends."""
    path = folder.root / JOURNAL
    with closing(open_journal(path)) as journal:
        entries = parse_entries(folder.read(folder.root / LEDGER) or b"", journal.read())
        try:
            yield Ledger(entries, journal, path)
        finally:
            if not journal.is_empty():
                found = {symbol: shorten(entries[symbol]) for symbol in sorted(entries)}
                lines = ",\n".join(f"{json.dumps(symbol)}: {json.dumps(entry)}" for symbol, entry in found.items())
                folder.replace(folder.root / LEDGER, f"{{\n{lines}\n}}\n".encode())
                journal.clear()


def read_entries(root: Place) -> dict[str, Entry]:
    """Symbol -> entry, as the last update left them, also if it was killed."""
    lines = read_journal(root / JOURNAL)  # before the ledger, which gets them at an update's end
    path = root / LEDGER
    return parse_entries(path.read_bytes() if path.exists() else b"", lines)


def parse_entries(ledger: bytes, journal: list[str]) -> dict[str, Entry]:
    """What cannot be read counts as never asked."""
    found: dict[str, Any] = {}
    for text in (ledger.decode(errors="replace"), *journal):
        try:
            found |= json.loads(text)
        except (ValueError, TypeError, RecursionError):
            continue
    return {symbol: entry for symbol, values in found.items() if (entry := read_entry(values)) is not None}


def read_entry(values: Any) -> Entry | None:
    """An entry out of JSON; None if it is none."""
    empty = asdict(Entry(""))
    try:
        entry = Entry(**values)
        typed = all(isinstance(value, type(empty[name])) for name, value in asdict(entry).items())
        for day in (entry.through, entry.session, entry.whole, entry.missed):
            date.fromisoformat(day or "2000-01-01")
        asked = datetime.fromisoformat(entry.asked or "2000-01-01T00:00+00:00")
        return entry if typed and entry.state in STATES and asked.tzinfo else None
    except (TypeError, ValueError):
        return None


def shorten(entry: Entry) -> dict[str, str | int]:
    """The five columns, and of the others what is not empty."""
    values = asdict(entry)
    return {name: value for name, value in values.items() if name in COLUMNS or value}


def read_ledger(root: Place) -> pd.DataFrame:
    """The ledger for people: symbol, state, through, rows, added, note, asked; a row for each symbol, by symbol.

    through: text, YYYY-MM-DD or "". asked: when, as an ISO text in UTC, or "". No row if there never was an update.
    """
    entries = read_entries(root)
    rows = [
        (symbol, *(getattr(entries[symbol], name) for name in COLUMNS), to_utc(entries[symbol].asked))
        for symbol in sorted(entries)
    ]
    return pd.DataFrame(rows, columns=["symbol", *COLUMNS, "asked"])


def to_utc(text: str) -> str:
    return datetime.fromisoformat(text).astimezone(UTC).isoformat() if text else ""
