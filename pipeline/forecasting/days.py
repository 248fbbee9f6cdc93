"""How many rows each day has, and how many of them models can learn from: the first pass over `features`."""

from datetime import date

import numpy as np
import pandas as pd
import pyarrow as pa
from pyspark.sql import SparkSession

from pipeline.datasets.contract import flagged
from pipeline.datasets.places import Place, read_table
from pipeline.forecasting.chunks import gather
from pipeline.forecasting.periods import EPOCH

STATES = ("no features yet", "left out by a flag", "used")
FIRST, LAST = ((day - EPOCH).days for day in (date(1678, 1, 1), date(2261, 12, 31)))  # of the contract
COLUMNS = ["Date", "Open", "High", "Low", "Adj Close", "vol_moving_avg"]


def count_days(spark: SparkSession, files: list[Place]) -> pd.DataFrame:
    """The rows of `features` by day and state: columns Date (a date), state, rows, and traded.

    A row is used if its window is full and no flag holds; `traded` counts those of them whose vol_moving_avg is a share
    or more.
    """
    days, counts = (np.concatenate(found) for found in zip(*gather(spark, files, count_parts), strict=True))
    table = pd.DataFrame(counts, days, [*STATES, "traded"]).groupby(level=0).sum()
    table.index = pd.Index(table.index.to_numpy().astype("datetime64[D]").astype(object), name="Date")
    by_state = [
        table.assign(state=state, rows=table[state], traded=table["traded"] * (state == "used"))
        for state in sorted(STATES)
    ]
    daily = pd.concat(by_state).reset_index()[["Date", "state", "rows", "traded"]]
    return daily[daily["rows"] > 0].sort_values(["Date", "state"], ignore_index=True)


def count_parts(files: list[Place]) -> tuple[np.ndarray, np.ndarray]:
    """The days of some parts, int64[k] since 1970-01-01, and their rows by state and traded ones, int64[k, 4]."""
    counts = np.zeros((len(STATES) + 1, LAST - FIRST + 1), np.int64)
    for file in files:
        table = read_table(file, columns=COLUMNS, use_threads=False)
        arrays = {name: table[name].to_numpy() for name in COLUMNS[1:]}
        day = table["Date"].cast(pa.int32()).to_numpy() - FIRST
        state = np.where(np.isnan(arrays["vol_moving_avg"]), 0, np.where(flagged(arrays), 1, 2))
        for number in range(len(STATES)):
            counts[number] += np.bincount(day[state == number], minlength=counts.shape[1])
        traded = (state == len(STATES) - 1) & (arrays["vol_moving_avg"] >= 1)
        counts[-1] += np.bincount(day[traded], minlength=counts.shape[1])
    found = np.flatnonzero(counts.any(axis=0))
    return found + FIRST, counts[:, found].T
