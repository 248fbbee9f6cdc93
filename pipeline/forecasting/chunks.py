"""The parts of a dataset, some for each task of Spark, and what the tasks found, in order."""

import pickle
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import TypeVar

import numpy as np
import pyarrow as pa
from pyspark.sql import SparkSession

from pipeline.datasets.places import Place
from pipeline.spark.tasks import collect

CHUNKS = 16  # at most; what a task returns is as large for one part as for many
Found = TypeVar("Found")


def gather(spark: SparkSession, files: list[Place], work: Callable[[list[Place]], Found]) -> list[Found]:
    """What `work` finds in each chunk: some parts, one after the other, in a task of their own.

    Which parts make a chunk depends on their number alone. So what is found is the same for any number of cores, also
    where `work` adds floating-point numbers up in the order of its parts. It must be small, whatever the rows.
    """
    chunks = cut_chunks([path.resolve() for path in files])

    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for number in batch["id"].to_pylist():
                found = pickle.dumps(work(chunks[number]), protocol=pickle.HIGHEST_PROTOCOL)
                yield pa.RecordBatch.from_pydict({"chunk": [number], "found": [found]})

    tasks = spark.range(0, len(chunks), 1, len(chunks))
    found = collect(tasks.mapInArrow(run, "chunk bigint, found binary")).sort_by("chunk")
    return [pickle.loads(one.as_buffer()) for one in found["found"]]


def cut_chunks(files: list[Place]) -> list[list[Place]]:
    """The files in up to CHUNKS runs of nearly equal length."""
    bounds = np.linspace(0, len(files), min(len(files), CHUNKS) + 1).round().astype(int)
    return [files[start:end] for start, end in pairwise(bounds)]
