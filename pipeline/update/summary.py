"""The end of an update, for a person: how many symbols came to which outcome, and those worth a look."""

from collections import Counter

from rich.console import Console
from rich.table import Table

from pipeline.update.ledger import LEDGER, STATES
from pipeline.update.outcomes import MOST_LINES, QUIET
from pipeline.update.result import UpdateResult


def show_result(result: UpdateResult, screen: Console) -> None:
    """Print the outcomes: counts by state, then symbols with their reasons, at most MOST_LINES of them."""
    entries = result.entries
    current = sum(entry.through >= result.session.isoformat() for entry in entries.values())
    screen.print(
        f"{current:,} of {len(entries):,} symbols have the session of {result.session}. "
        + (f"Asked for {result.asked:,} symbols in {result.requests:,} requests." if result.asked else "None was due."),
        markup=False,
        soft_wrap=True,
    )
    if not result.asked:
        return
    counts = Counter(entry.state or "not asked" for entry in entries.values())
    by_state = Table("outcome", "symbols", "meaning", box=None)
    for state in (*STATES, "not asked"):
        if counts[state]:
            by_state.add_row(state, f"{counts[state]:,}", STATES.get(state, "the asking ended before"))
    screen.print(by_state)
    worth = [symbol for symbol, entry in entries.items() if entry.state and entry.state not in QUIET]
    shown = list(entries) if len(entries) <= MOST_LINES else worth[:MOST_LINES]
    if shown:
        table = Table("symbol", "outcome", "through", "rows", "added", "why", box=None)
        for symbol in shown:
            entry = entries[symbol]
            numbers = (f"{entry.rows:,}", f"{entry.added:,}")
            table.add_row(symbol, entry.state or "not asked", entry.through, *numbers, entry.note)
        screen.print(table)
    if len(worth) > len(shown):
        screen.print(f"and {len(worth) - len(shown):,} more in {LEDGER}", markup=False)
