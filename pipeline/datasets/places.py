"""Places: where a run keeps what it makes, and where raw files lie. A folder, or a URL of an object store.

A place is a pathlib.Path or an ObjectPath, which has the same methods. What the two do differently stands here, so
that nobody else asks which of them he has.
"""

import os
import shutil
import tempfile
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from io import BufferedReader
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from pipeline.datasets.files import write_atomically
from pipeline.datasets.objects import ObjectPath, ObjectStat, is_url, parse_url
from pipeline.errors import FULL_DISK, LockedError, ResourceError

if TYPE_CHECKING:
    from obstore import PutMode

Place = Path | ObjectPath
Choice = TypeVar("Choice")
Read = TypeVar("Read")
ATTEMPT_PREFIX = ".attempt-"
AT_ONCE = 8  # objects that a process fetches at once


def open_place(where: Place | str) -> Place:
    """The place that a path or a URL (s3://bucket/market, gs://, az://) names; it need not be there.

    Raises ParameterError for a URL that cannot be one.
    """
    if isinstance(where, str):
        return parse_url(where) if is_url(where) else Path(where)
    return where


def note_kind(place: Place) -> Place:
    """The place, which knows from now on whether it is a folder: of one that is read that is asked for each file."""
    return place if isinstance(place, Path) else replace(place, folder=place.is_dir())


def by_kind(place: Place, folder: Choice, store: Choice) -> Choice:
    """What is for a place of this kind."""
    return folder if isinstance(place, Path) else store


def read_table(files: Place | Sequence[Place], columns: Iterable[str] | None = None, **options: object) -> pa.Table:
    """The rows of one Parquet file, or of several one below the other. options: as pyarrow.parquet.read_table has."""
    chosen = None if columns is None else list(columns)
    if not isinstance(files, Sequence):
        return pq.read_table(open_bytes(files), columns=chosen, **options)
    return pa.concat_tables([pq.read_table(open_bytes(file), columns=chosen, **options) for file in files])


def open_parquet(file: Place) -> pq.ParquetFile:
    """A Parquet file, to be read some rows at a time."""
    return pq.ParquetFile(open_bytes(file))


def open_bytes(file: Place) -> Path | pa.BufferReader:
    """What pyarrow reads a file from. An object is fetched whole: its columns are most of it."""
    return file if isinstance(file, Path) else pa.BufferReader(file.read_bytes())


def write_whole(place: Place, text: str) -> None:
    """Write a small file so that a reader sees the old text or the new one, never a part."""
    if isinstance(place, Path):
        place.parent.mkdir(exist_ok=True)
        write_atomically(place, text)
    else:
        place.write_text(text)


def write_once(folder: Place, data: memoryview, checksum: str) -> str:
    """Write one attempt at a part under a name that nobody else has, which is returned.

    An object cannot be renamed later. It is named after its content, so that attempts with equal bytes are one object
    and no other can take its place. Raises ResourceError for a full disk.
    """
    if isinstance(folder, ObjectPath):
        name = f"part-{checksum[:32]}.parquet"
        (folder / name).write_bytes(data)
        return name
    path = folder / f"{ATTEMPT_PREFIX}{uuid.uuid4().hex}.parquet"
    try:
        path.write_bytes(data)
    except OSError as error:
        path.unlink(missing_ok=True)
        if error.errno in FULL_DISK:
            raise ResourceError(f"The disk is full: a part in {folder} needs {len(data):,} more bytes.") from error
        raise
    return path.name


def rename_attempts(folder: Place, names: list[str], final: list[str]) -> list[str]:
    """Give attempts their final names, and remove those of which nobody was told. Returns what they are called now."""
    if isinstance(folder, ObjectPath):
        return names
    for name, last in zip(names, final, strict=True):
        (folder / name).rename(folder / last)
    for path in folder.glob(f"{ATTEMPT_PREFIX}*"):
        path.unlink()
    return final


@contextmanager
def bring_here(folder: Place) -> Iterator[Path]:
    """A folder of files as one on this machine, for those who know no other."""
    if isinstance(folder, Path):
        yield folder
        return
    with tempfile.TemporaryDirectory() as scratch:
        here = Path(scratch) / folder.name
        here.mkdir()
        for path, _ in folder.list_files():
            (here / path.name).write_bytes(path.read_bytes())
        yield here


def walk_files(root: Place, folders: Iterable[str]) -> Iterator[tuple[str, Callable[[], os.stat_result | ObjectStat]]]:
    """All files in some folders of a place, also further down, and those that lie beside the folders: path inside the
    place, and how to get its size and time.
    """
    if isinstance(root, ObjectPath):
        found = chain(root.list_files(), *((root / folder).walk() for folder in folders))
        yield from ((path.key.removeprefix(root.key).strip("/"), partial(give, stat)) for path, stat in found)
        return
    yield from ((path.name, path.stat) for path in root.iterdir() if path.is_symlink() or not path.is_dir())
    for home in folders:
        for folder, _, files in os.walk(root / home, onerror=refuse) if (root / home).is_dir() else ():
            for path in (Path(folder, name) for name in files):
                yield path.relative_to(root).as_posix(), path.stat


def give(stat: ObjectStat) -> ObjectStat:
    return stat


def refuse(error: OSError) -> None:
    raise error


def open_seekable(file: Place) -> Path | BufferedReader:
    """A file of which parts are read, as zipfile takes it."""
    return file if isinstance(file, Path) else file.open_seekable()


def read_end(file: Place, size: int) -> bytes:
    """The last bytes of a file, at most `size`."""
    with file.open("rb") if isinstance(file, Path) else file.open_seekable() as opened:
        opened.seek(max(0, opened.seek(0, os.SEEK_END) - size))
        return opened.read()


def read_in_order(root: Place, reads: Iterable[Callable[[], Read]]) -> Iterator[Read]:
    """What each call reads from a place, in order. From a store several are fetched at once, a few ahead: a request
    takes longer to be answered than to be sent.
    """
    if isinstance(root, Path):
        yield from (read() for read in reads)
        return
    waiting: deque[Future[Read]] = deque()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        try:
            for read in reads:
                waiting.append(pool.submit(read))
                if len(waiting) == 2 * AT_ONCE:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for one in waiting:
                one.cancel()


@dataclass(frozen=True)
class Sight:
    """What somebody saw of a pointer. data: None where there was none. state: what a store calls that state."""

    data: bytes | None
    state: "PutMode | None" = None


def look_at(pointer: Place) -> Sight:
    try:
        return Sight(pointer.read_bytes()) if isinstance(pointer, Path) else Sight(*pointer.read_tagged())
    except FileNotFoundError:
        return Sight(None, "create")


def replace_pointer(pointer: Place, seen: Sight, text: str) -> None:
    """Replace a pointer if it is what was seen; in a folder, whose holder alone may do so, in any case.

    Raises LockedError if somebody else was quicker.
    """
    if isinstance(pointer, Path):
        write_atomically(pointer, text)
    else:
        put_if_seen(pointer, seen, text.encode())


def replace_file(file: Place, seen: Sight, data: bytes, beside: Place) -> None:
    """Replace a file, which is there whole or not at all at every moment, also after a loss of power. As for a pointer
    a store takes it only if the file is what was seen. beside: a name for a folder's file that is not whole yet.

    Raises LockedError if somebody else was quicker, OSError where a folder cannot be written.
    """
    if isinstance(file, ObjectPath):
        put_if_seen(file, seen, data)
        return
    assert isinstance(beside, Path)
    try:
        with beside.open("wb") as written:
            written.write(data)
            written.flush()
            os.fsync(written.fileno())
        file.parent.mkdir(exist_ok=True)
        beside.replace(file)
    except OSError:
        with suppress(OSError):
            beside.unlink()
        raise


def put_if_seen(path: ObjectPath, seen: Sight, data: bytes) -> None:
    try:
        path.write_bytes(data, seen.state or "create")
    except LockedError:  # or this very put was answered by a line that broke, and was sent again
        if look_at(path).data != data:
            raise


def write_note(folder: Place, name: str, text: str) -> None:
    """Leave a short text, a number or two, for whoever watches a folder. A later one counts more."""
    if isinstance(folder, Path):
        (folder / name).write_text(text)
    else:
        (folder / f"{name} {text}").write_bytes(b"")


def read_notes(folder: Place) -> list[str]:
    """The names and texts of all notes, a line each. Of an object the name says it all, so none is read."""
    if isinstance(folder, Path):
        return [f"{path.name} {path.read_text()}" for path in folder.iterdir()]
    return [path.name for path in folder.iterdir()]


def read_clock(folder: ObjectPath) -> float:
    """What time it is to the store, in seconds since 1970: clocks of machines differ from it."""
    probe = folder / f".clock-{uuid.uuid4().hex}"
    probe.write_bytes(b"")
    try:
        return probe.stat().st_mtime
    finally:
        probe.unlink()


def open_dataset(files: Sequence[Place]) -> ds.Dataset:
    """Parquet files as one set of rows, of which no more is read from a disk than is asked for."""
    paths = [file for file in files if isinstance(file, Path)]
    return ds.dataset([str(path) for path in paths]) if paths else ds.dataset(read_table(files))


def is_finished(folder: Place, last: str) -> bool:
    """Whether a version is whole that has its name. A folder gets it at the end; objects have theirs from the start,
    and what is written `last` tells.
    """
    return isinstance(folder, Path) or (folder / last).is_file()


def remove(place: Place) -> None:
    """Remove a file, or a folder with all that is in it. One that has gone meanwhile is no error for a file."""
    if isinstance(place, ObjectPath):
        place.remove_below() if place.is_dir() else place.unlink()
    elif place.is_dir():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)
