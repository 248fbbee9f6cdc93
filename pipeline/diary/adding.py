"""A dataset that only ever grows: each version holds the parts of the one before, byte for byte, and one more.

So "never changed" can be proved from two manifests: the parts of the older one, their checksums among them, are the
first of the newer one. And adding an evening costs what the evening weighs: parts are linked, not copied, where the
disk can do that, and their checksums are the only reason to read them.
"""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.datasets.files import hash_file
from pipeline.datasets.lock import open_lock
from pipeline.datasets.parts import Written, write_attempt
from pipeline.datasets.run_folder import RunFolder
from pipeline.datasets.store import Draft, Version
from pipeline.errors import InputError


@contextmanager
def hold_diary(run: RunFolder) -> Iterator[None]:
    """Hold the diary of a run folder: who adds to it reads it first, and nobody may add in between."""
    run.path.mkdir(parents=True, exist_ok=True)
    with open_lock(run.path / ".diary.lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def add_rows(run: RunFolder, dataset: str, rows: pa.Table, schema: pa.Schema) -> Version:
    """Publish a version with rows added to those that are there. For the holder of the diary.

    Raises InputError if what is there is damaged, LockedError if this process has no right to publish.
    """
    draft = run.open_draft(dataset)
    before = run.find(dataset)
    kept = keep_parts(before, draft) if before else []
    written = json.loads(write_attempt(rows.cast(schema), draft.path))
    name = f"part-{len(kept):05d}.parquet"
    (draft.path / written["name"]).rename(draft.path / name)
    parts = [*kept, Written(**written | {"name": name})]
    return draft.publish(parts, schema=schema, parameters={}, inputs={"before": before.id} if before else {})


def keep_parts(before: Version, draft: Draft) -> list[Written]:
    """Have a draft hold the parts of a version."""
    kept = [Written(**file) for file in before.manifest["files"]]
    for part in kept:
        path = before.path / part.name
        try:
            whole = hash_file(path) == part.sha256
        except OSError as error:
            raise InputError(describe_damage(path, error.strerror or str(error))) from error
        if not whole:
            raise InputError(describe_damage(path, "its checksum differs"))
        link_or_copy(path, draft.path / part.name)
    return kept


def link_or_copy(old: Path, new: Path) -> None:
    try:
        os.link(old, new)
    except OSError:  # a disk without links
        shutil.copyfile(old, new)


def read_rows(
    run: RunFolder, dataset: str, columns: list[str], filters: list[tuple[str, str, object]] | None = None
) -> pa.Table | None:
    """Columns of a dataset's rows, in the order in which they were added; None where there is no such dataset.

    Raises InputError if it is damaged.
    """
    version = run.find(dataset)
    if version is None:
        return None
    try:
        return pq.read_table(version.files, columns=columns, filters=filters)
    except (OSError, pa.ArrowException) as error:
        raise InputError(describe_damage(version.path, str(error).splitlines()[0][:200])) from error


def describe_damage(path: Path, why: str) -> str:
    return (
        f"{path} cannot be read ({why}), so the diary cannot go on. Write the name of a whole version into CURRENT of "
        "its dataset, or move the dataset away to begin a new one."
    )
