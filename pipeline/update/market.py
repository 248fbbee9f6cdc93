"""A whole folder brought up to the last session: whom to ask, in which order, and when to stop asking."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from pipeline.errors import InputError, QualityError, ResourceError
from pipeline.update.catalogue import read_catalogue, write_metadata
from pipeline.update.folder import MarketFolder, hold_folder
from pipeline.update.ledger import Entry, Ledger, open_ledger
from pipeline.update.plan import make_plan
from pipeline.update.sessions import find_final_session
from pipeline.update.symbol import Outcome, Task, update_symbol

if TYPE_CHECKING:
    from pipeline.update.yahoo import Yahoo

RATE = 0.4  # requests a second: what yfinance's documentation advises, two in five seconds
PERSONAL_USE = "Yahoo's data are for personal use. Do not pass them on."
INSTALL = "pip install -r pipeline/update/requirements.txt"
MAX_REFUSALS = 3  # of one symbol in a row, each followed by a longer pause; then nobody else is asked
MAX_TRIES = 2  # of a symbol without an answer that can be read
MAX_FAILURES = 5  # symbols in a row without any answer; then nobody else is asked
MAX_STALE_SHARE = 0.1  # of the symbols; more that are not at the last session are a failure
ABSENT_SESSIONS = 3  # in a row: the directory of one evening may lack a symbol
FEW = 2  # stale symbols are never one


@dataclass
class UpdateResult:
    """What an update did. session: the day that the files should reach. entries: of all symbols that are followed.

    asked: how many symbols it asked for. answered: how many of them Yahoo had an answer to. stopped: why the asking
    ended before its time, "" if it did not.
    """

    root: Path
    session: date
    entries: dict[str, Entry] = field(default_factory=dict)
    asked: int = 0
    answered: int = 0
    requests: int = 0
    stopped: str = ""

    @property
    def stale(self) -> list[str]:
        """Symbols whose file should reach the session and does not."""
        return [symbol for symbol, entry in self.entries.items() if self.is_stale(entry)]

    def is_stale(self, entry: Entry) -> bool:
        gone = entry.state == "delisted" or (entry.state == "missing" and (entry.absences or not entry.through))
        return not gone and entry.through < self.session.isoformat()

    def check(self) -> None:
        """Raises InputError if nobody answered, QualityError if too many symbols are not at the session."""
        stale = self.stale
        too_many = len(stale) > max(FEW, MAX_STALE_SHARE * len(self.entries))
        if self.asked and not self.answered and (too_many or len(stale) == len(self.entries)):
            raise InputError(f"Yahoo cannot be reached: {self.stopped or self.tell_first_failure()}. Try again later.")
        if too_many:
            counts = Counter(self.entries[symbol].state or "not asked" for symbol in stale)
            why = ", ".join(f"{count:,} {state}" for state, count in counts.most_common())
            advice = f"{self.stopped}. " if self.stopped else ""
            raise QualityError(
                f"{len(stale):,} of {len(self.entries):,} symbols in {self.root} are not at {self.session} ({why}). "
                f"{advice}The same command goes on where it stopped; updates.json has the reasons."
            )

    def tell_first_failure(self) -> str:
        return next(entry.note for entry in self.entries.values() if entry.state in ("failed", "refused"))


def update_folder(
    root: Path,
    symbols: Iterable[str] | None = None,
    rate: float = RATE,
    full: bool = False,
    now: datetime | None = None,
    tell: Callable[[str], None] = print,
) -> UpdateResult:
    """Bring a folder of CSVs up to the last session that closed four hours before `now`.

    symbols: who is followed, in NASDAQ's or Yahoo's spelling; None for all of the folder and of NASDAQ's directory.
    rate: requests a second at most. full: fetch all rows of every symbol. tell: gets what a person should know, line by
    line. Raises ResourceError without yfinance, InputError for a folder that cannot be one or cannot be begun,
    LockedError if another update holds it. The result's `check` says whether it is good enough.
    """
    root, now = root.expanduser(), now or datetime.now(UTC)
    result = UpdateResult(root, find_final_session(now))
    with closing(open_yahoo(rate)) as yahoo, hold_folder(root) as folder, open_ledger(folder) as ledger:
        catalogue = read_catalogue(folder, now)
        if catalogue.warning:
            tell(f"warning: {catalogue.warning}")
        plan = make_plan(catalogue, ledger, symbols, result.session, full, now)
        write_metadata(folder, catalogue, {})  # before the first CSV: without it nobody can read the folder
        try:
            if plan.tasks:
                tell(PERSONAL_USE)
                ask = partial(ask_patiently, folder=folder, yahoo=yahoo, final=result.session, full=full, tell=tell)
                ask_all(plan.tasks, ask, ledger, result, now)
        finally:
            write_metadata(folder, catalogue, ledger.entries)
        result.requests = yahoo.requests
        result.entries = {symbol: ledger.get(symbol) or Entry("") for symbol in plan.followed}
    return result


def open_yahoo(rate: float) -> "Yahoo":
    try:
        from pipeline.update.yahoo import Yahoo
    except ImportError as error:
        raise ResourceError(f"An update needs yfinance ({error}): {INSTALL}") from error
    return Yahoo(rate)


def ask_all(
    tasks: Sequence[Task], ask: Callable[[Task], Outcome], ledger: Ledger, result: UpdateResult, now: datetime
) -> None:
    """Ask for one symbol after the other, until all are asked or Yahoo has had enough. ask: gives a task's outcome."""
    failures = 0
    with tqdm(tasks, unit=" symbols", disable=None, dynamic_ncols=True) as bar:
        for task in bar:
            bar.set_postfix_str(task.symbol, refresh=False)
            result.asked += 1
            outcome = ask(task)
            ledger.put(task.symbol, make_entry(outcome, task.before, result.session, now))
            failures = failures + 1 if outcome.state == "failed" else 0
            result.answered += outcome.state not in ("failed", "refused")
            if outcome.state == "refused":
                result.stopped = f"Yahoo refused {MAX_REFUSALS} times in a row, after {result.answered:,} answers"
            elif failures == MAX_FAILURES:
                result.stopped = f"{failures} symbols in a row had no answer, the last one: {outcome.note}"
            if result.stopped:
                return


def ask_patiently(
    task: Task, folder: MarketFolder, yahoo: "Yahoo", final: date, full: bool, tell: Callable[[str], None]
) -> Outcome:
    """The outcome of a symbol. After a refusal the session waits before it asks again."""
    from pipeline.update.yahoo import NoAnswerError, NoRowsError, RefusedError

    refusals = tries = 0
    while True:
        try:
            return update_symbol(task, folder, yahoo, final, full)
        except NoRowsError:
            return Outcome("missing", None, 0, note=f"Yahoo has no rows of {task.spelling}", whole=full)
        except RefusedError:
            refusals += 1
            if refusals == MAX_REFUSALS:
                return Outcome("refused", None, 0, note="Yahoo refused to answer")
            tell(f"Yahoo refuses to answer for now. Waiting for {yahoo.pause:.0f} s.")
        except NoAnswerError as error:
            tries += 1
            if tries == MAX_TRIES:
                return Outcome("failed", None, 0, note=str(error))


def make_entry(outcome: Outcome, before: Entry, session: date, now: datetime) -> Entry:
    """The ledger's line of an outcome. Where nothing was read, what is known of the file stays."""
    day = session.isoformat()
    unread = outcome.state in ("missing", "refused", "failed")
    entry = replace(
        before,
        state=outcome.state,
        through=before.through if unread else outcome.through.isoformat() if outcome.through else "",
        rows=before.rows if unread else outcome.rows,
        added=outcome.added,
        revised=outcome.revised,
        note=outcome.note,
        session=day,
        asked=now.isoformat(timespec="seconds"),
        whole=day if outcome.whole else before.whole,
        tries=before.tries + 1 if outcome.state == "missing" else 0,
    )
    if entry.state in ("missing", "behind") and entry.absences >= ABSENT_SESSIONS:
        note = f"not in NASDAQ's directory since {ABSENT_SESSIONS} sessions or more; the file stays"
        return replace(entry, state="delisted", note=note)
    return entry
