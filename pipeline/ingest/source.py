"""Where the CSVs come from: the sample, a folder or zip in the layout of the Kaggle set, or Kaggle itself."""

import hashlib
import os
import zlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pipeline.datasets.places import Place, note_kind, open_place
from pipeline.environment import KAGGLE
from pipeline.errors import InputError, QualityError
from pipeline.ingest.delivery import FOLDERS, METADATA, list_files, read_files
from pipeline.ingest.names import is_doubtful, list_some, read_names, read_symbol, warn_of_odd_input

# A version by name: everybody reads the same files, and none are asked for once they are in the cache of kagglehub.
KAGGLE_DATASET = "jacksoncrow/stock-market-dataset/versions/2"
INPUT_VARIABLE, INPUT = "KAGGLE_CACHE_MOUNT_FOLDER", "/kaggle/input"  # kagglehub's name for where, and where that is
SAMPLE = Path(__file__).parents[2] / "notebooks" / "sample"
READERS = 4


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
    """A delivery of CSVs: `files` in the order of their symbols, `names` from NASDAQ Symbol to Security Name.

    metadata_checksum: CRC-32 of the bytes that `names` were read from; the file may be another by now. warnings: a
    line for each thing that may be a mistake and stops nothing.
    """

    root: Place  # a folder or a zip
    prefix: str  # what stands before stocks/ and etfs/ inside it
    files: tuple[MarketFile, ...]
    names: dict[str, str]
    metadata: MarketFile
    metadata_checksum: int
    warnings: tuple[str, ...]

    def read(self, path: str) -> bytes:
        """The bytes of one file, by its path inside the source."""
        ((_, data),) = read_files(self.root, self.prefix, [path])
        return data

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
        if self.root.is_file():
            checksums = {file.path: file.stamp for file in self.files}
        else:
            paths = [file.path for file in self.files]
            with ThreadPoolExecutor(READERS) as pool:
                files = pool.map(lambda path: zlib.crc32(self.read(path)), paths)
                checksums = dict(zip(paths, files, strict=True))
        return combine_checksums(checksums | {METADATA: self.metadata_checksum})


def combine_checksums(checksums: dict[str, int]) -> str:
    """The content fingerprint of a source from its files' CRC-32. checksums: path inside the source -> CRC-32."""
    return digest(f"{path} {checksum}" for path, checksum in sorted(checksums.items()))


def digest(lines: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode(errors="surrogateescape")).hexdigest()[:16]


def open_source(kind: str, data_dir: str = "") -> Source:
    """The source that the parameters SOURCE and DATA_DIR name.

    kind: "sample"; "folder" (data_dir is the folder, or the zip as Kaggle serves it); "kaggle" (what is attached to a
    machine of Kaggle's, or fetched once and then taken from kagglehub's cache); "auto" (what is attached, else the
    sample). Raises InputError for a source that is absent or has no CSV or no usable metadata,
    QualityError where two files are of the same symbol.
    """
    root = find_root(kind, data_dir)
    listing = list_files(root)
    if not listing.csvs:
        left_out = f" ({list_some(listing.left_out)} cannot be read as one)" if listing.left_out else ""
        raise InputError(
            f"{root} has no CSV in stocks/ or etfs/{left_out}: give DATA_DIR the folder that holds these two."
        )
    if listing.metadata is None:
        raise InputError(
            f"{root} has no {METADATA}, which gives the symbols' names (columns NASDAQ Symbol, Security Name)."
        )
    for path in listing.csvs:
        if not path.isprintable():
            raise InputError(f"{path!r} in {root}: a symbol cannot hold such characters. Rename the file.")
    names = read_names(root, listing.prefix)
    by_symbol = names.by_symbol
    files = [
        MarketFile(read_symbol(path, by_symbol), FOLDERS[path.split("/")[0]], path, size, stamp)
        for path, (size, stamp) in listing.csvs.items()
    ]
    files.sort()
    refuse_duplicates(files)
    odd = [file.path for file in files if is_doubtful(file.symbol, by_symbol)]
    warnings = warn_of_odd_input(sorted(listing.left_out), odd, names.repeated)
    metadata = MarketFile("", "", METADATA, *listing.metadata)
    return Source(root, listing.prefix, tuple(files), by_symbol, metadata, names.checksum, warnings)


def find_root(kind: str, data_dir: str) -> Place:
    """The folder or file that a source is in."""
    if kind == "kaggle":
        return find_attached() or fetch_from_kaggle()
    if kind == "auto":
        return find_attached() or SAMPLE
    if kind == "sample":
        return SAMPLE
    root, found = open_place(data_dir), False
    with suppress(OSError, RuntimeError):  # no right to look there, a name that is too long, the ~ of nobody
        root = root.expanduser()
        found = bool(data_dir) and root.exists()
    if not found:
        raise InputError(f"DATA_DIR {data_dir!r} is not there: name a folder with stocks/ and etfs/ in it, or its zip.")
    return note_kind(root)


def refuse_duplicates(files: list[MarketFile]) -> None:
    for one, next_one in zip(files, files[1:], strict=False):
        if one.symbol == next_one.symbol:
            raise QualityError(
                f"{one.path} and {next_one.path} are both of the symbol {one.symbol}: remove or rename one of them."
            )


def find_attached() -> Path | None:
    """The folder of the data set where it is attached to a notebook on Kaggle; None anywhere else."""
    folder = Path(os.environ.get(INPUT_VARIABLE, INPUT), KAGGLE_DATASET.split("/")[1])
    return folder if KAGGLE in os.environ and folder.is_dir() else None


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
