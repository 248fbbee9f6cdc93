"""Parquet parts of a dataset, written by tasks that may run twice.

Every attempt writes under a name that nobody else has. Spark reports one attempt for each task; its file gets the
part's final name, where files can be renamed, and whatever other attempts left is removed.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.datasets.places import Place, rename_attempts, write_once

ROW_GROUP = 2**20
ZSTD_LEVEL = -3


@dataclass(frozen=True)
class Written:
    """A Parquet file inside a dataset's folder."""

    name: str
    rows: int
    bytes: int
    sha256: str


def write_attempt(table: pa.Table, folder: Place) -> str:
    """Write one attempt at a part into `folder`. Returns what `keep_attempts` takes."""
    data = encode_parquet(table)
    checksum = hashlib.sha256(data).hexdigest()
    name = write_once(folder, memoryview(data).cast("B"), checksum)
    return json.dumps(asdict(Written(name, table.num_rows, data.size, checksum)))


def keep_attempts(folder: Place, attempts: Iterable[str | None]) -> list[Written]:
    """Give the reported attempts, in order, their final names part-00000.parquet and so on; remove all others. Where
    nothing can be renamed they keep their own.
    """
    reported = [Written(**json.loads(attempt)) for attempt in attempts if attempt]
    kept = rename_attempts(folder, [part.name for part in reported], [name_part(n) for n in range(len(reported))])
    return [replace(part, name=name) for part, name in zip(reported, kept, strict=True)]


def name_part(number: int) -> str:
    """The name of a part, by its place among the parts of its version."""
    return f"part-{number:05d}.parquet"


def encode_parquet(table: pa.Table) -> pa.Buffer:
    """The bytes of a Parquet file; they depend on the table alone.

    Numbers and days are written plainly under a quick zstd. (LZ4 is out: Spark's reader of it fails now and then when
    a job leaves a file in the middle. So is splitting doubles by byte, which Spark 4.0, which Colab has, cannot read.)
    """
    repeated = [name for name in ("Symbol", "Security Name", "file", "reason") if name in table.schema.names]
    sought = [name for name in ("Symbol", "Date") if name in table.schema.names]  # by which readers skip parts
    sink = pa.BufferOutputStream()
    options = {"compression": "zstd", "compression_level": ZSTD_LEVEL, "row_group_size": ROW_GROUP}
    pq.write_table(table, sink, use_dictionary=repeated, write_statistics=sought, **options)
    return sink.getvalue()
