"""The ledger of a folder as tables for people: how many symbols came to which outcome, and those worth a look."""

import pandas as pd

from pipeline.update.ledger import COLUMNS, STATES

MOST_LINES = 20
QUIET = ("appended", "current", "delisted")  # states that a long list need not show one by one


def count_outcomes(updates: pd.DataFrame) -> pd.DataFrame:
    """A row an outcome that there is, in the order of STATES: symbols, rows added, and what it means.

    updates: see ledger.read_ledger.
    """
    counts = updates.groupby("state").agg(symbols=("symbol", "size"), added=("added", "sum"))
    table = counts.reindex([state for state in STATES if state in counts.index])
    return table.assign(meaning=[STATES[state] for state in table.index]).rename_axis("outcome").reset_index()


def pick_notable(updates: pd.DataFrame) -> pd.DataFrame:
    """All symbols where they are few, else those whose outcome a person may wonder about. At most MOST_LINES rows.

    Columns: symbol, and those of ledger.COLUMNS.
    """
    few = len(updates) <= MOST_LINES
    picked: pd.DataFrame = (updates if few else updates[~updates["state"].isin(QUIET)]).head(MOST_LINES)
    return picked[["symbol", *COLUMNS]]
