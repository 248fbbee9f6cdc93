"""A dataset that only ever grows: each version holds the parts of the one before, byte for byte, and one more.

So "never changed" can be proved from two manifests: the parts of the older one, their checksums among them, are the
first of the newer one. And adding an evening costs what the evening weighs: parts are linked, not copied, where the
disk can do that, and their checksums are the only reason to read them.
"""

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from pipeline.datasets.lock import open_lock
from pipeline.datasets.parts import Written, name_part, write_attempt
from pipeline.datasets.places import Place, read_table, rename_attempts
from pipeline.datasets.run_folder import RunFolder
from pipeline.datasets.store import Draft, Version
from pipeline.errors import InputError

Filters = list[tuple[str, str, object]] | None  # as pyarrow.parquet.read_table takes them


@contextmanager
def hold_diary(run: RunFolder) -> Iterator[None]:
    """Hold the diary of a run folder on this machine: who adds to it reads it first, and nobody may add in between. (Of
    two machines at one object store the second is refused when it publishes.)
    """
    run.here.mkdir(parents=True, exist_ok=True)
    with open_lock(run.here / ".diary.lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def add_rows(run: RunFolder, dataset: str, rows: pa.Table, schema: pa.Schema) -> Version:
    """Publish a version with rows added to those that are there. For the holder of the diary.

    Raises InputError if what is there is damaged, LockedError if this process has no right to publish.
    """
    draft = run.open_draft(dataset)
    before = run.find(dataset)
    kept = keep_parts(before, draft) if before else []
    fresh = Written(**json.loads(write_attempt(rows.cast(schema), draft.attempts)))
    (name,) = rename_attempts(draft.attempts, [fresh.name], [name_part(len(kept))])
    parts = [*kept, replace(fresh, name=name)]
    return draft.publish(parts, schema=schema, parameters={}, inputs={"before": before.id} if before else {})


def keep_parts(before: Version, draft: Draft) -> list[Written]:
    """Have a draft hold the parts of a version."""
    kept = [Written(**file) for file in before.manifest["files"]]
    for part in kept:
        old, new = before.path / part.name, draft.attempts / part.name
        try:
            data = old.read_bytes()
        except OSError as error:
            raise InputError(describe_damage(old, error.strerror or str(error))) from error
        if hashlib.sha256(data).hexdigest() != part.sha256:
            raise InputError(describe_damage(old, "its checksum differs"))
        link_or_write(old, new, data)
    return kept


def link_or_write(old: Place, new: Place, data: bytes) -> None:
    """Have `new` hold what `old` does, which is `data`."""
    if isinstance(old, Path) and isinstance(new, Path):
        with suppress(OSError):  # a disk without links
            os.link(old, new)
            return
    new.write_bytes(data)


def read_rows(run: RunFolder, dataset: str, columns: list[str], filters: Filters = None) -> pa.Table | None:
    """Columns of a dataset's rows, in the order in which they were added; None where there is no such dataset.

    Raises InputError if it is damaged.
    """
    version = run.find(dataset)
    if version is None:
        return None
    try:
        return read_table(version.files, columns, filters=filters)
    except (OSError, pa.ArrowException) as error:
        raise InputError(describe_damage(version.path, str(error).splitlines()[0][:200])) from error


def describe_damage(path: Place, why: str) -> str:
    return (
        f"{path} cannot be read ({why}), so the diary cannot go on. Write the name of a whole version into CURRENT of "
        "its dataset, or move the dataset away to begin a new one."
    )
