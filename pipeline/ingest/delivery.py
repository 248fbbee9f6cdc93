"""The files of a delivery, a folder or a zip in the layout of the Kaggle set: what is there, and their bytes."""

import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from stat import S_ISREG

from pipeline.datasets.places import Place, open_seekable, read_in_order, walk_files
from pipeline.errors import InputError, QualityError

METADATA = "symbols_valid_meta.csv"
FOLDERS = {"stocks": "stock", "etfs": "etf"}
# What reading raises: a dead link or no right is an OSError; zipfile has a ValueError for a damaged directory, a
# RuntimeError for an encrypted file and for one that is packed in a way it does not know.
UNREADABLE = (OSError, ValueError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error, lzma.LZMAError)


@dataclass
class Listing:
    """What a delivery holds. csvs and metadata: path inside the delivery -> size in bytes, and the time of the last
    change in ns or a zip's CRC-32.
    """

    prefix: str  # what stands before stocks/ and etfs/ inside a zip
    csvs: dict[str, tuple[int, int]] = field(default_factory=dict)
    metadata: tuple[int, int] | None = None
    left_out: list[str] = field(default_factory=list)  # paths of files that are not read, and look as if they should


def list_files(root: Place) -> Listing:
    """The files of a folder or a zip, sorted by what is read of them and what is not. Raises InputError for what
    cannot be read, QualityError for a zip with two files of one name.
    """
    return list_zip(root) if root.is_file() else list_folder(root)


def list_folder(root: Place) -> Listing:
    listing = Listing("")
    try:
        for name, look in walk_files(root, FOLDERS):
            if not is_read(name):
                note_left_out(listing, name)
                continue
            stat = look()
            if not S_ISREG(stat.st_mode):
                note_left_out(listing, name)
            else:
                add_file(listing, name, stat.st_size, stat.st_mtime_ns)
    except OSError as error:  # a dead link, or no right to look
        raise InputError(f"{error.filename} cannot be read ({error.strerror}): mend it, or take it away.") from error
    return listing


def list_zip(root: Place) -> Listing:
    with open_zip(root) as archive:
        entries = index_entries(archive, root)
    homes = [name.removesuffix(METADATA) for name in entries if name.rsplit("/", 1)[-1] == METADATA]
    listing = Listing(min(homes, key=len, default=""))
    for name, entry in entries.items():
        if not name.startswith(listing.prefix):
            continue
        path = name.removeprefix(listing.prefix)
        if is_read(path):
            add_file(listing, path, entry.file_size, entry.CRC)
        elif "/" not in path or path.split("/")[0] in FOLDERS:
            note_left_out(listing, path)
    return listing


def is_read(path: str) -> bool:
    """Whether a file is one of the layout: stocks/SYMBOL.csv, etfs/SYMBOL.csv, or the metadata. Hidden ones are not."""
    folder, _, name = path.rpartition("/")
    return path == METADATA or (folder in FOLDERS and name.lower().endswith(".csv") and not name.startswith("."))


def add_file(listing: Listing, path: str, size: int, stamp: int) -> None:
    if path == METADATA:
        listing.metadata = (size, stamp)
    else:
        listing.csvs[path] = (size, stamp)


def note_left_out(listing: Listing, path: str) -> None:
    """Note a file that is not read, if it may hold prices. Beside stocks/ and etfs/ a text may lie, or a picture."""
    name = path.rsplit("/", 1)[-1]
    hidden = any(part.startswith(".") for part in path.split("/"))
    if ".csv" in name.lower() or ("/" in path and not hidden):
        listing.left_out.append(path)


def open_zip(root: Place) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(open_seekable(root))
    except UNREADABLE as error:
        message = f"{root} is neither a folder nor a zip file that can be read ({error}): copy or download it again."
        raise InputError(message) from error


def index_entries(archive: zipfile.ZipFile, root: Place) -> dict[str, zipfile.ZipInfo]:
    """Name -> entry of the files in a zip, with the slashes that some programs of Windows write the other way."""
    entries: dict[str, zipfile.ZipInfo] = {}
    for entry in archive.infolist():
        name = entry.filename.replace("\\", "/")
        if name.endswith("/"):
            continue
        if name in entries:
            raise QualityError(f"{name} is in {root} twice: make the zip again, with one of them.")
        entries[name] = entry
    return entries


def read_files(root: Place, prefix: str, paths: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    """Path and bytes of files inside a folder or zip. Raises InputError for one that cannot be read."""
    if root.is_dir():
        reads = (partial(read_or_explain, path, root, (root / path).read_bytes) for path in paths)
        yield from zip(paths, read_in_order(root, reads), strict=True)
        return
    with open_zip(root) as archive:
        entries = index_entries(archive, root)
        for path in paths:
            entry = entries.get(prefix + path)
            if entry is None:
                raise InputError(f"{path} is no longer in {root}: it was replaced meanwhile. Run again.")
            yield path, read_or_explain(path, root, partial(archive.read, entry))


def read_or_explain(path: str, root: Place, read: Callable[[], bytes]) -> bytes:
    try:
        return read()
    except UNREADABLE as error:
        why = str(error) or "its end is missing"  # EOFError has no words
        message = f"{path} in {root} cannot be read ({why}): copy or download the data set again."
        raise InputError(message) from error
