"""All CSVs of a source to Parquet, by Spark: whole files in balanced parts, parsed and written where the task runs.

A file is a symbol and comes sorted, so nothing needs a shuffle or a sort. A task reads the files of one part, writes
one Parquet file of prices (and one of refused rows, if there are any) into the drafts' folders, and gives only counts
back. A task may run twice: every attempt writes under a name of its own, and only the attempt that Spark reports is
published.
"""

from collections.abc import Iterator

import pyarrow as pa
from pyspark.sql import SparkSession

from pipeline.datasets.store import Draft
from pipeline.ingest.ledger import Ingested, settle
from pipeline.ingest.parts import COUNTS, plan_parts, run_part
from pipeline.ingest.source import Source
from pipeline.spark.progress import Tally, track
from pipeline.spark.tasks import collect


def write_prices(spark: SparkSession, source: Source, prices: Draft, quarantine: Draft) -> Ingested:
    """Read every file of the source and write `prices` and `quarantine` parts into the drafts' folders.

    Raises QualityError if the ledger does not balance: for each file, data rows = published + refused.
    """
    parts = plan_parts(source.files)
    names = {file.symbol: source.names.get(file.symbol) for file in source.files}
    root, prefix = source.root.resolve(), source.prefix
    prices_dir, quarantine_dir = prices.attempts.resolve(), quarantine.attempts.resolve()
    progress = prices.progress.resolve()

    def run_parts(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for number in batch["id"].to_pylist():
                tally = Tally(progress, number)
                yield run_part(parts[number], root, prefix, names, prices_dir, quarantine_dir, tally)

    with track("ingest", "files", len(source.files), progress):
        tasks = spark.range(0, len(parts), 1, len(parts))
        counts = collect(tasks.mapInArrow(run_parts, COUNTS))
    return settle(source, counts, prices_dir, quarantine_dir)
