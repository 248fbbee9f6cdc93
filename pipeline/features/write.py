"""The two rolling features of every row, by Spark: a task reads a part of `prices` and writes the same part of
`features`.

No symbol crosses two parts and each part is sorted, so nothing needs a shuffle or a sort.
"""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
from pyspark.sql import SparkSession

from pipeline.datasets.contract import FEATURES
from pipeline.datasets.croissant import write_description
from pipeline.datasets.parts import Written, keep_attempts, write_attempt
from pipeline.datasets.places import Place, read_table
from pipeline.datasets.store import Draft, Version
from pipeline.features.rolling import calendar_mean, calendar_median, find_starts, rolling_mean, rolling_median
from pipeline.spark.progress import Tally, track
from pipeline.spark.tasks import collect


def write_features(
    spark: SparkSession, prices: Version, draft: Draft, window_days: int, window_rule: str
) -> list[Written]:
    """Compute the features of all of `prices` and write their parts into the draft's folder."""
    paths = [path.resolve() for path in prices.files]
    folder = draft.attempts.resolve()
    progress = draft.progress.resolve()

    def run_parts(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for number in batch["id"].to_pylist():
                written = run_part(paths[number], folder, window_days, window_rule, Tally(progress, number))
                yield pa.RecordBatch.from_pydict({"part": [number], "written": [written]})

    with track("features", "parts", len(paths), progress):
        tasks = spark.range(0, len(paths), 1, len(paths))
        attempts = collect(tasks.mapInArrow(run_parts, "part bigint, written string")).sort_by("part")
    write_description(draft.path, "features", FEATURES)
    return keep_attempts(folder, attempts["written"].to_pylist())


def run_part(path: Place, folder: Place, window_days: int, window_rule: str, tally: Tally) -> str | None:
    """One attempt at one part. Returns what `parts.keep_attempts` takes."""
    prices = read_table(path, use_threads=False)  # the other cores have tasks of their own
    table = add_features(prices, window_days, window_rule)
    written = write_attempt(table, folder)
    tally.report(1, table.num_rows)
    return written


def add_features(prices: pa.Table, window_days: int, window_rule: str) -> pa.Table:
    """A table in the schema PRICES, whole symbols in date order, with the two features: a table in the schema FEATURES.

    window_rule: "rows" looks back over `window_days` trading rows and is null until there are as many; "calendar"
    over the rows of as many calendar days, from the first row on.
    """
    symbols = prices["Symbol"].combine_chunks().indices.to_numpy()
    starts = find_starts(symbols)
    volume = prices["Volume"].to_numpy()
    close = prices["Adj Close"].to_numpy()
    if window_rule == "rows":
        mean, median = rolling_mean(volume, starts, window_days), rolling_median(close, starts, window_days)
    else:
        days = prices["Date"].cast(pa.int32()).to_numpy().astype(np.int64)
        mean = calendar_mean(volume, days, starts, window_days)
        median = calendar_median(close, days, starts, window_days)
    features = [pa.array(values, from_pandas=True) for values in (mean, median)]  # NaN becomes null
    return pa.table([*prices.columns, *features], schema=FEATURES)
