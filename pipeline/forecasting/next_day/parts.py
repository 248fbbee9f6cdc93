"""The parts of `features` as arrays of whole symbols, each in a task of Spark, and matrices on their way back."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyspark.sql import SparkSession

from pipeline.datasets.contract import flagged
from pipeline.datasets.places import read_table
from pipeline.features.rolling import find_starts
from pipeline.forecasting.market_rows import number_symbols
from pipeline.forecasting.next_day.symbol_rows import SymbolRows
from pipeline.spark.tasks import collect

COLUMNS = ["Symbol", "Date", "Open", "High", "Low", "Close", "Adj Close", "Volume"]


def read_symbol_rows(
    file: Path, etfs: frozenset[str], beside: tuple[str, ...] = ()
) -> tuple[SymbolRows, list[str], pa.Table]:
    """All rows of a part, the names of its symbols, and the table they come from, with the columns `beside` as well."""
    table = read_table(file, columns=[*COLUMNS, *beside], use_threads=False)  # other cores have their own tasks
    arrays = {name: table[name].to_numpy() for name in COLUMNS[2:]}
    symbols = table["Symbol"].combine_chunks()
    starts = find_starts(symbols.indices.to_numpy())
    names = [symbols[int(start)].as_py() for start in starts[:-1]] if len(symbols) else []
    rows = SymbolRows(
        starts,
        np.array([name in etfs for name in names], dtype=bool),
        number_symbols(names),
        table["Date"].cast(pa.int32()).to_numpy().astype(np.int64),
        arrays["Volume"],
        arrays["Adj Close"],
        arrays["High"],
        arrays["Low"],
        arrays["Open"],
        arrays["Close"],
        ~flagged(arrays),
    )
    return rows, names, table


def map_parts(
    spark: SparkSession, files: list[Path], schema: str, work: Callable[[Path], Iterator[pa.RecordBatch]]
) -> pa.Table:
    """Run `work` on every part in a task of its own; what the tasks return, in the order of the parts."""
    paths = [path.resolve() for path in files]

    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for number in batch["id"].to_pylist():
                yield from work(paths[number])

    return collect(spark.range(0, len(paths), 1, len(paths)).mapInArrow(run, schema))


def holds_any(file: Path, names: frozenset[str]) -> bool:
    """Whether a part has rows of any of the symbols."""
    symbols = read_table(file, columns=["Symbol"], use_threads=False)["Symbol"].combine_chunks()
    return not names.isdisjoint(symbols.dictionary.to_pylist())


def pack(matrix: np.ndarray) -> pa.Array:
    """A matrix as one binary value a row: half a hundred columns cost as much as one."""
    width = matrix.shape[1] * matrix.itemsize
    data = pa.py_buffer(np.ascontiguousarray(matrix).tobytes())
    return pa.Array.from_buffers(pa.binary(width), len(matrix), [None, data]).cast(pa.binary())


def unpack_matrix(column: pa.ChunkedArray, kind: type, width: int) -> np.ndarray:
    """The matrix whose rows were packed, kind[n, width], without a Python object a row."""
    fixed = pa.binary(width * np.dtype(kind).itemsize)
    chunks = [chunk.cast(fixed) for chunk in column.chunks]
    parts: list[np.ndarray] = [
        np.frombuffer(chunk.buffers()[1], kind)[chunk.offset * width :][: len(chunk) * width]
        for chunk in chunks
        if len(chunk)
    ]
    return np.concatenate([*parts, np.empty(0, kind)]).reshape(-1, width)
