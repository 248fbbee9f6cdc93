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

from pipeline.datasets.places import read_table
from pipeline.datasets.store import Version
from pipeline.diary.entries import FILE
from pipeline.errors import InputError

COMPARED, FEWEST = 20, 5  # rows of a symbol
SMALLEST = 1.1  # a ratio nearer to 1 is a correction of Volumes, not a split that could be told from one
LARGEST_PART = 100  # of a split, such as 3 for 2


def find_ratios(model: Version | None, features: Version, symbols: set[str]) -> "pd.Series[float]":
    """New shares for each one that the model was told of, by symbol; only those for which it is not 1.

    model: the one that is current, whose forecasts have come, or None. Its last rows are compared with the same days of
    `features`; where they cannot be read, nothing is known.
    """
    then = read_known(model, symbols)
    if then.empty:
        return pd.Series(dtype=float)
    filters = [("Date", ">=", then["date"].min()), ("Date", "<=", then["date"].max())]
    table = read_table(features.files, ["Symbol", "Date", "Volume"], filters=filters)
    now = table.rename_columns(["symbol", "date", "now"]).to_pandas(date_as_object=True).astype({"symbol": str})
    both = then.merge(now, on=["symbol", "date"])
    both = both[(both["then"] > 0) & (both["now"] > 0)]
    found = (both["now"] / both["then"]).groupby(both["symbol"]).agg(["median", "size"])
    ratios = found.loc[found["size"] >= FEWEST, "median"].map(round_ratio)
    return ratios[ratios != 1]


def read_known(model: Version | None, symbols: set[str]) -> pd.DataFrame:
    """The last Volumes that a model was told of these symbols. Columns: symbol, date, then."""
    rows: list[tuple[str, date, int]] = []
    try:
        lines = (model.path / FILE).read_bytes().splitlines() if model else []
        for line in map(json.loads, lines):
            if line["symbol"] in symbols:
                days = [date.fromisoformat(day) for day in line["recent"]["dates"][-COMPARED:]]
                rows += [
                    (line["symbol"], *known) for known in zip(days, line["recent"]["volume"][-COMPARED:], strict=True)
                ]
    except (OSError, InputError, ValueError, KeyError, TypeError):
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
