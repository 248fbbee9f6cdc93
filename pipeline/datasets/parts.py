"""Parquet parts of a dataset, written by tasks that may run twice.

Every attempt writes under a name that nobody else has. Spark reports one attempt for each task; its file gets the
part's final name and whatever other attempts left is removed.
"""

import hashlib
import json
import uuid
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import FULL_DISK, ResourceError

ATTEMPT_PREFIX = ".attempt-"
ROW_GROUP = 2**20
ZSTD_LEVEL = -3


@dataclass(frozen=True)
class Written:
    """A Parquet file inside a dataset's folder."""

    name: str
    rows: int
    bytes: int
    sha256: str


def write_attempt(table: pa.Table, folder: Path) -> str:
    """Write one attempt at a part into `folder`. Returns what `keep_attempts` takes."""
    data = encode_parquet(table)
    path = folder / f"{ATTEMPT_PREFIX}{uuid.uuid4().hex}.parquet"
    try:
        path.write_bytes(data)
    except OSError as error:
        path.unlink(missing_ok=True)
        if error.errno in FULL_DISK:
            raise ResourceError(f"The disk is full: a part in {folder} needs {data.size:,} more bytes.") from error
        raise
    return json.dumps(asdict(Written(path.name, table.num_rows, data.size, hashlib.sha256(data).hexdigest())))


def keep_attempts(folder: Path, attempts: Iterable[str | None]) -> list[Written]:
    """Give the reported attempts, in order, their final names part-00000.parquet and so on; remove all others."""
    kept = []
    for number, attempt in enumerate(attempt for attempt in attempts if attempt):
        facts = json.loads(attempt)
        name = f"part-{number:05d}.parquet"
        (folder / facts["name"]).rename(folder / name)
        kept.append(Written(**facts | {"name": name}))
    for path in folder.glob(f"{ATTEMPT_PREFIX}*"):
        path.unlink()
    return kept


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
