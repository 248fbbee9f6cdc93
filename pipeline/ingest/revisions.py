"""What a delivery tells otherwise than the one before: rows of the last days that were changed since."""

from datetime import date, timedelta

import numpy as np
import pandas as pd

from pipeline.datasets.places import read_table
from pipeline.datasets.store import Version

COMPARED = ("Open", "High", "Low", "Close", "Volume")  # each dividend changes all of Adj Close: that is no revision
SAME = 2e-6  # relative; prices are 32 bit floats at their source
RECENT = timedelta(days=21)  # what an update asks for again, ten sessions, and some more


def find_revisions(before: Version | None, after: Version, through: str) -> pd.DataFrame:
    """The rows that both versions of `prices` have, from three weeks before `through` on, and tell differently.

    through: YYYY-MM-DD, or "" where no day is known. Returns Symbol, Date, Close and Volume now, and "Close before",
    "Volume before", the greatest change of Volume first. Late trades and corrections change a day's Volume for some
    days; that is usual.
    """
    since = date.fromisoformat(through) - RECENT if through else date.max
    now = read_since(after, since)
    then = now if before is None or before.id == after.id else read_since(before, since)
    keys = ["Symbol", "Date"]
    both = now.merge(then, on=keys, suffixes=("", " before"))
    other = np.zeros(len(both), bool)
    for name in COMPARED:
        other |= ~np.isclose(both[name], both[f"{name} before"], rtol=SAME, atol=0)
    found: pd.DataFrame = both.loc[other, [*keys, "Close", "Close before", "Volume", "Volume before"]]
    change = np.abs(np.log1p(found["Volume"]) - np.log1p(found["Volume before"]))
    order = change.sort_values(ascending=False, kind="stable").index
    sorted_rows: pd.DataFrame = found.loc[order].reset_index(drop=True)
    return sorted_rows


def read_since(version: Version, day: date) -> pd.DataFrame:
    columns = ["Symbol", "Date", *COMPARED]
    table = read_table(version.files, columns, filters=[("Date", ">=", day)])
    rows: pd.DataFrame = table.to_pandas(date_as_object=True)
    return rows.astype({"Symbol": str})
