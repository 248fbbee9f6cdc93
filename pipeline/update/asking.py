"""Asking for one symbol after the other, and when to stop."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import TYPE_CHECKING

from tqdm import tqdm

from pipeline.update.folder import MarketFolder
from pipeline.update.ledger import Entry, Ledger
from pipeline.update.result import UpdateResult
from pipeline.update.symbol import Outcome, Task, update_symbol

if TYPE_CHECKING:
    from pipeline.update.yahoo import Yahoo

MAX_REFUSALS = 3  # of one symbol in a row, each followed by a longer pause; then nobody else is asked
MAX_TRIES = 2  # of a symbol without an answer that can be read
MAX_FAILURES = 5  # symbols in a row without any answer; then nobody else is asked
ABSENT_SESSIONS = 3  # in a row: the directory of one evening may lack a symbol


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
    if entry.state not in ("missing", "behind"):
        return entry
    if entry.absences >= ABSENT_SESSIONS:
        note = f"not in NASDAQ's directory since {ABSENT_SESSIONS} sessions or more; the file stays"
        return replace(entry, state="delisted", note=note)
    if entry.absences:
        away = f"NASDAQ's directory has lacked it for {entry.absences} of the {ABSENT_SESSIONS} sessions"
        return replace(entry, note="; ".join(filter(None, (entry.note, f"{away} after which it counts as delisted"))))
    return entry
