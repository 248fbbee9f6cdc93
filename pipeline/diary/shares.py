"""In which shares a forecast was told.

A split of four for one makes four shares of each, and from then on all earlier Volumes are told four times as large.
What was forecast before it, also for the day of the split itself, was told in the old shares. So what came is turned
into those before the two are compared.
"""

import json
from datetime import date
from fractions import Fraction

import numpy as np
import pandas as pd

from pipeline.datasets.store import Version
from pipeline.diary.entries import FILE
from pipeline.errors import InputError

COMPARED, FEWEST = 20, 5  # rows of a symbol
SMALLEST = 1.1  # a ratio nearer to 1 is a correction of Volumes, not a split that could be told from one
LARGEST_PART = 100  # of a split, such as 3 for 2


def find_ratios(known: pd.DataFrame, actual: pd.DataFrame) -> "pd.Series[float]":
    """New shares for each one that a model was told of, by symbol; only those for which it is not 1.

    known: see read_known. actual: symbol, date and `actual`, Volumes as they are told now, on the same days.
    """
    both = known.merge(actual, on=["symbol", "date"])
    both = both[(both["then"] > 0) & (both["actual"] > 0)]
    found = (both["actual"] / both["then"]).groupby(both["symbol"]).agg(["median", "size"])
    ratios = found.loc[found["size"] >= FEWEST, "median"].map(round_ratio)
    return ratios[ratios != 1]


def read_known(model: Version | None, symbols: set[str]) -> pd.DataFrame:
    """The last Volumes that a model was told of these symbols, as symbol, date, then. No row where that cannot be read.

    model: the one that is current, whose forecasts have come, or None.
    """
    rows: list[tuple[str, date, int]] = []
    try:
        lines = (model.path / FILE).read_bytes().splitlines() if model else []
        for line in map(json.loads, lines):
            if line["symbol"] in symbols:
                days = [date.fromisoformat(day) for day in line["recent"]["dates"][-COMPARED:]]
                rows += [
                    (line["symbol"], *known) for known in zip(days, line["recent"]["volume"][-COMPARED:], strict=True)
                ]
    except (OSError, InputError, ValueError, KeyError, TypeError, RecursionError):
        rows = []
    return pd.DataFrame(rows, columns=["symbol", "date", "then"])


def round_ratio(ratio: float) -> float:
    """The split that a ratio of Volumes, which are whole numbers and may have been corrected, tells of. 1 for none."""
    if 1 / SMALLEST < ratio < SMALLEST:
        return 1.0
    if ratio < 1:
        return 1 / round_ratio(1 / ratio)
    return float(Fraction(ratio).limit_denominator(LARGEST_PART))


def turn_back(actual: pd.DataFrame, ratios: "pd.Series[float]") -> pd.DataFrame:
    """What came, in the shares of before. actual: symbol, date and `actual`, in shares of now."""
    if ratios.empty:
        return actual
    ratio = actual["symbol"].map(ratios).fillna(1.0)
    return actual.assign(actual=np.rint(actual["actual"] / ratio).astype(np.int64))
