"""What a delivery tells otherwise than the one before: rows of the last days that were changed since."""

from datetime import date, timedelta

import numpy as np
import pandas as pd

from pipeline.datasets.places import read_table
from pipeline.datasets.store import Version

COMPARED = ("Open", "High", "Low", "Close", "Volume")  # each dividend changes all of Adj Close: that is no revision
SAME = 2e-6  # relative; prices are 32 bit floats at their source
SPLIT = 1e-3  # relative; prices have changed by more where a split has been
INVERSE = 0.05  # relative; how well Volumes, whole numbers, and prices must agree on it
RECENT = timedelta(days=21)  # what an update asks for again, ten sessions, and some more


def find_revisions(before: Version | None, after: Version, through: str) -> pd.DataFrame:
    """The rows that both versions of `prices` have, from three weeks before `through` on, and tell differently.

    through: YYYY-MM-DD, or "" where no day is known. Returns Symbol, Date, Close and Volume now, and "Close before",
    "Volume before", the greatest change of Volume first. Late trades and corrections change a day's Volume for some
    days; that is usual. A split tells all days before it in other shares: that alone is no revision, and what was told
    before is given in the shares of now.
    """
    since = date.fromisoformat(through) - RECENT if through else date.max
    now = read_since(after, since)
    then = now if before is None or before.id == after.id else read_since(before, since)
    keys = ["Symbol", "Date"]
    both = now.merge(then, on=keys, suffixes=("", " before"))
    shares = find_shares(both)
    for name in COMPARED:
        told = both[f"{name} before"]
        both[f"{name} before"] = (told * shares).round().astype(np.int64) if name == "Volume" else told / shares
    other = np.zeros(len(both), bool)
    for name in COMPARED:
        rounded = np.where(shares == 1, 0, np.maximum(1, shares)) if name == "Volume" else 0.0
        other |= np.abs(both[name] - both[f"{name} before"]) > rounded + SAME * np.abs(both[f"{name} before"])
    found: pd.DataFrame = both.loc[other, [*keys, "Close", "Close before", "Volume", "Volume before"]]
    change = np.abs(np.log1p(found["Volume"]) - np.log1p(found["Volume before"]))
    order = change.sort_values(ascending=False, kind="stable").index
    sorted_rows: pd.DataFrame = found.loc[order].reset_index(drop=True)
    return sorted_rows


def find_shares(both: pd.DataFrame) -> np.ndarray:
    """How many shares of now each row's symbol has for one of before: 1, or the ratio of a split.

    float64[n]. All prices of the symbol have been divided by it, and all Volumes multiplied.
    """
    of_symbol = both["Symbol"]
    ratios = pd.DataFrame(
        {name: both[name] / both[f"{name} before"].replace(0, np.nan) for name in ("Close", "Volume")}
    )
    usual = ratios.groupby(of_symbol).transform("median").fillna(1.0)
    fell = 1 / usual["Close"].where(usual["Close"] > 0, 1.0)
    is_split = (np.abs(fell - 1) > SPLIT) & (np.abs(usual["Volume"] / fell - 1) < INVERSE)
    return np.where(is_split, fell, 1.0)


def read_since(version: Version, day: date) -> pd.DataFrame:
    columns = ["Symbol", "Date", *COMPARED]
    table = read_table(version.files, columns, filters=[("Date", ">=", day)])
    rows: pd.DataFrame = table.to_pandas(date_as_object=True)
    return rows.astype({"Symbol": str})
