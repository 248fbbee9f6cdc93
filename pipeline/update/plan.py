"""Whom to ask: the symbols that are followed, less those that have had their answer."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import partial

from pipeline.datasets.places import read_in_order
from pipeline.errors import ParameterError
from pipeline.update.catalogue import Catalogue
from pipeline.update.folder import read_last_day
from pipeline.update.ledger import UP_TO_DATE, Entry, Ledger
from pipeline.update.spelling import YAHOO_SYMBOL, spell_for_yahoo
from pipeline.update.symbol import ETFS, STOCKS, Task

ASK_AGAIN = timedelta(hours=1)  # for a last row that was not there
WAITS = (1, 2, 4, 8, 16)  # days until a symbol is asked for again that Yahoo has never had a row of
SETTLED = UP_TO_DATE | {"held", "missing", "delisted"}


@dataclass(frozen=True)
class Plan:
    """followed: all symbols that should be current, in order. tasks: those of them to ask for."""

    followed: tuple[str, ...]
    tasks: tuple[Task, ...]


def make_plan(
    catalogue: Catalogue, ledger: Ledger, symbols: Iterable[str] | None, session: date, full: bool, now: datetime
) -> Plan:
    """Decide whom to ask. The ledger gets what is known without asking: absences, symbols without a spelling.

    Raises ParameterError for a name that cannot be a symbol.
    """
    if symbols is None:
        followed = sorted(catalogue.files.keys() | catalogue.list_unfiled())
    else:
        followed = sorted({catalogue.find(check_symbol(name)) for name in symbols})
    tasks: list[Task] = []
    settled: list[Task] = []
    for symbol in followed:
        entry = note_listing(ledger.get(symbol) or Entry(""), symbol, catalogue, session)
        if symbols is None and entry.state == "delisted":
            continue
        files = tuple(catalogue.files.get(symbol, ()))
        spelling = catalogue.spell(symbol)
        if spelling is None:
            entry = replace(entry, state="missing", note="Yahoo has no spelling for such a symbol")
            ledger.put(symbol, entry)
            continue
        row = (catalogue.listed or {}).get(symbol)
        kind = None if row is None else ETFS if row["ETF"] == "Y" else STOCKS
        tasks.append(Task(symbol, spelling, files, kind, entry))
        if is_settled(entry, session, full, now):
            settled.append(tasks[-1])
    unchanged = find_unchanged(settled)
    return Plan(tuple(followed), tuple(task for task in tasks if task.symbol not in unchanged))


def find_unchanged(tasks: Sequence[Task]) -> set[str]:
    """The symbols whose file ends where the ledger says, or is absent where it knows of none."""
    files = {task.symbol: task.files[0] for task in tasks if task.files}
    reads = [partial(read_last_day, file) for file in files.values()]
    days = dict(zip(files, read_in_order(next(iter(files.values())), reads), strict=True)) if files else {}
    ends = {symbol: day.isoformat() for symbol, day in days.items() if day}
    return {task.symbol for task in tasks if task.before.through == ends.get(task.symbol, "")}


def is_symbol(name: str) -> bool:
    """Whether NASDAQ or Yahoo might spell a symbol so."""
    return bool(YAHOO_SYMBOL.fullmatch(name) or spell_for_yahoo(name))


def check_symbol(name: str) -> str:
    if is_symbol(name):
        return name
    raise ParameterError(
        f"{name!r} is not a symbol: name them as NASDAQ or Yahoo does, for example AAPL, BRK.B or ^GSPC."
    )


def note_listing(entry: Entry, symbol: str, catalogue: Catalogue, session: date) -> Entry:
    """The entry with how long the directory has not listed the symbol, counted once a session. Indices never are."""
    if catalogue.listed is None or not catalogue.is_current or symbol.startswith("^"):
        return entry
    if symbol in catalogue.listed:
        state = "" if entry.state == "delisted" else entry.state  # it is back
        return replace(entry, state=state, absences=0, missed="")
    if entry.missed == session.isoformat():
        return entry
    return replace(entry, absences=entry.absences + 1, missed=session.isoformat())


def is_settled(entry: Entry, session: date, full: bool, now: datetime) -> bool:
    """Whether a symbol has had its answer for this session, if its file still is what the ledger knows."""
    if entry.state == "missing" and not entry.through and entry.session:
        waited = (session - date.fromisoformat(entry.session)).days
        return waited < WAITS[min(entry.tries, len(WAITS)) - 1]
    if entry.session != session.isoformat() or (full and entry.whole != entry.session):
        return False
    if entry.state == "behind":
        return now - datetime.fromisoformat(entry.asked) < ASK_AGAIN
    return entry.state in SETTLED
