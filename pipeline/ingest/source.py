"""Where the CSVs come from: the sample, a folder or zip in the layout of the Kaggle set, or Kaggle itself."""

import csv
import hashlib
import io
import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from stat import S_ISREG

from pipeline.errors import InputError, QualityError

# A version by name: everybody reads the same files, and none are asked for once they are in the cache of kagglehub.
KAGGLE_DATASET = "jacksoncrow/stock-market-dataset/versions/2"
SAMPLE = Path(__file__).parents[2] / "notebooks" / "sample"
METADATA = "symbols_valid_meta.csv"
FOLDERS = {"stocks": "stock", "etfs": "etf"}
READERS = 4
# What reading raises: a dead link or no right is an OSError; zipfile has a ValueError for a damaged directory, a
# RuntimeError for an encrypted file and for one that is packed in a way it does not know.
UNREADABLE = (OSError, ValueError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error, lzma.LZMAError)
# Windows cannot have a file PRN.csv, so archives made there call it _PRN.csv.
RESERVED = {"CON", "PRN", "AUX", "NUL", *(f"{port}{number}" for port in ("COM", "LPT") for number in range(1, 10))}


@dataclass(frozen=True, order=True)
class MarketFile:
    """One CSV, all of one symbol's days. Files sort by symbol."""

    symbol: str
    kind: str  # "stock" or "etf"
    path: str  # inside the source, for example stocks/AAPL.csv
    size: int  # bytes
    stamp: int  # time of the last change in ns, or the checksum inside a zip


@dataclass(frozen=True)
class Source:
    """A delivery of CSVs: `files` in the order of their symbols, `names` from NASDAQ Symbol to Security Name."""

    root: Path  # a folder or a zip
    prefix: str  # what stands before stocks/ and etfs/ inside it
    files: tuple[MarketFile, ...]
    names: dict[str, str]
    metadata: MarketFile

    def read(self, path: str) -> bytes:
        """The bytes of one file, by its path inside the source."""
        ((_, data),) = read_files(self.root, self.prefix, [path])
        return data

    @cached_property
    def metadata_checksum(self) -> int:
        return zlib.crc32(self.read(METADATA))

    @cached_property
    def stat_fingerprint(self) -> str:
        """Changes whenever a name, a size or a time changes. Takes milliseconds, reads nothing."""
        files = [*self.files, self.metadata]
        return digest(f"{file.path} {file.size} {file.stamp}" for file in files)

    @cached_property
    def content_fingerprint(self) -> str:
        """Changes when a name or the content changes: the same for a folder, its copy and its zip. Reads all of a
        folder.
        """
        paths = [file.path for file in [*self.files, self.metadata]]
        if zipfile.is_zipfile(self.root):
            checksums = {file.path: file.stamp for file in [*self.files, self.metadata]}
        else:
            with ThreadPoolExecutor(READERS) as pool:
                files = pool.map(lambda path: zlib.crc32(self.read(path)), paths)
                checksums = dict(zip(paths, files, strict=True))
        return combine_checksums(checksums)


def combine_checksums(checksums: dict[str, int]) -> str:
    """The content fingerprint of a source from its files' CRC-32. checksums: path inside the source -> CRC-32."""
    return digest(f"{path} {checksum}" for path, checksum in sorted(checksums.items()))


def digest(lines: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode(errors="surrogateescape")).hexdigest()[:16]


def open_source(kind: str, data_dir: str = "") -> Source:
    """The source that the parameters SOURCE and DATA_DIR name.

    kind: "sample", "folder" (data_dir is the folder, or the zip as Kaggle serves it) or "kaggle" (fetched once, then
    taken from kagglehub's cache). Raises InputError for a source that is absent or has no CSV or no usable metadata,
    QualityError where two files are of the same symbol.
    """
    if kind == "kaggle":
        root = fetch_from_kaggle()
    elif kind == "sample":
        root = SAMPLE
    else:
        root, found = Path(data_dir), False
        with suppress(OSError, RuntimeError):  # no right to look there, a name that is too long, the ~ of nobody
            root = root.expanduser()
            found = bool(data_dir) and root.exists()
        if not found:
            raise InputError(
                f"DATA_DIR {data_dir!r} is not there: name a folder with stocks/ and etfs/ in it, or its zip."
            )
    prefix, listed = list_zip(root) if root.is_file() else list_folder(root)
    metadata = next((path for path in listed if path == METADATA), None)
    csvs = {path: facts for path, facts in listed.items() if path.count("/") == 1 and path.lower().endswith(".csv")}
    if not csvs:
        raise InputError(f"{root} has no CSV in stocks/ or etfs/: give DATA_DIR the folder that holds these two.")
    if metadata is None:
        raise InputError(
            f"{root} has no {METADATA}, which gives the symbols' names (columns NASDAQ Symbol, Security Name)."
        )
    for path in csvs:
        if not path.isprintable():
            raise InputError(f"{path!r} in {root}: a symbol cannot hold such characters. Rename the file.")
    names = read_names(root, prefix)
    files = [
        MarketFile(read_symbol(path, names), FOLDERS[path.split("/")[0]], path, size, stamp)
        for path, (size, stamp) in csvs.items()
    ]
    files.sort()
    refuse_duplicates(files)
    return Source(root, prefix, tuple(files), names, MarketFile("", "", METADATA, *listed[METADATA]))


def list_folder(root: Path) -> tuple[str, dict[str, tuple[int, int]]]:
    """Files of the layout in a folder: "", and path -> (size, time of the last change in ns)."""
    try:
        paths = [path for name in FOLDERS if (root / name).is_dir() for path in (root / name).iterdir()]
        paths += [path for path in (root / METADATA,) if path.exists()]
        stats = {path.relative_to(root).as_posix(): path.stat() for path in paths}
    except OSError as error:  # a dead link, or no right to look
        raise InputError(f"{error.filename} cannot be read ({error.strerror}): mend it, or take it away.") from error
    return "", {path: (stat.st_size, stat.st_mtime_ns) for path, stat in stats.items() if S_ISREG(stat.st_mode)}


def list_zip(root: Path) -> tuple[str, dict[str, tuple[int, int]]]:
    """Files of the layout in a zip: what stands before their names, and path -> (size, CRC-32)."""
    with open_zip(root) as archive:
        entries = [entry for entry in archive.infolist() if not entry.is_dir()]
    homes = [entry.filename.removesuffix(METADATA) for entry in entries if entry.filename.endswith(METADATA)]
    prefix = min(homes, key=len, default="")
    inside = {entry.filename.removeprefix(prefix): entry for entry in entries if entry.filename.startswith(prefix)}
    return prefix, {
        path: (entry.file_size, entry.CRC)
        for path, entry in inside.items()
        if path == METADATA or path.split("/")[0] in FOLDERS
    }


def open_zip(root: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(root)
    except UNREADABLE as error:
        message = f"{root} is neither a folder nor a zip file that can be read ({error}): copy or download it again."
        raise InputError(message) from error


def read_files(root: Path, prefix: str, paths: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    """Path and bytes of files inside a folder or zip. Raises InputError for one that cannot be read."""
    if root.is_dir():
        for path in paths:
            yield path, read_or_explain(path, root, (root / path).read_bytes)
        return
    with open_zip(root) as archive:
        for path in paths:
            yield path, read_or_explain(path, root, partial(archive.read, prefix + path))


def read_or_explain(path: str, root: Path, read: Callable[[], bytes]) -> bytes:
    try:
        return read()
    except UNREADABLE as error:
        why = str(error) or "its end is missing"  # EOFError has no words
        message = f"{path} in {root} cannot be read ({why}): copy or download the data set again."
        raise InputError(message) from error


def read_names(root: Path, prefix: str) -> dict[str, str]:
    """NASDAQ Symbol -> Security Name. (The column `Symbol` is another notation: AGM$A there is AGM-A here and in
    the file names.) Strict about quotes: one that is left open would swallow the lines up to the next quote.
    """
    ((_, data),) = read_files(root, prefix, [METADATA])
    rows = csv.DictReader(io.StringIO(data.decode("utf-8-sig", errors="replace"), newline=""), strict=True)
    try:
        named = [(row.get("NASDAQ Symbol"), row.get("Security Name")) for row in rows]
    except csv.Error as error:
        raise InputError(
            f"{METADATA} in {root} cannot be read beyond line {rows.reader.line_num} ({error}): a quote is left open "
            "or out of place there or in a line before. Mend it, or download the file again."
        ) from error
    lacking = {"NASDAQ Symbol", "Security Name"} - set(rows.fieldnames or ())
    if lacking:
        raise InputError(
            f"{METADATA} in {root} lacks the column {' and '.join(sorted(lacking))}: the names join on them."
        )
    return {symbol: name for symbol, name in named if symbol and name}


def read_symbol(path: str, names: dict[str, str]) -> str:
    """The symbol that a file is named after, character by character. _PRN.csv is PRN if the metadata knows that
    symbol.
    """
    stem = path.rsplit("/", 1)[1][: -len(".csv")]
    bare = stem.removeprefix("_")
    return bare if bare in RESERVED and bare in names else stem


def refuse_duplicates(files: list[MarketFile]) -> None:
    for one, next_one in zip(files, files[1:], strict=False):
        if one.symbol == next_one.symbol:
            raise QualityError(
                f"{one.path} and {next_one.path} are both of the symbol {one.symbol}: remove or rename one of them."
            )


def fetch_from_kaggle() -> Path:
    """The folder where kagglehub keeps the data set, downloaded at the first use."""
    import kagglehub

    try:
        return Path(kagglehub.dataset_download(KAGGLE_DATASET))
    except Exception as error:
        raise InputError(
            f"Kaggle's {KAGGLE_DATASET} could not be fetched ({type(error).__name__}: {error}). "
            "Download it by hand and run with SOURCE=folder and DATA_DIR naming the zip."
        ) from error
