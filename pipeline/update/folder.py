"""The folder that is kept current: which file is whose, one update at a time, files replaced whole.

Everything that only an update needs is in FOLDER/.update, so that whoever reads the folder meanwhile sees whole CSVs
and nothing else.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from pipeline.datasets.lock import open_lock, try_lock
from pipeline.datasets.objects import is_url
from pipeline.errors import InputError, LockedError, ParameterError, ResourceError
from pipeline.ingest.delivery import FOLDERS, METADATA
from pipeline.ingest.names import read_symbol
from pipeline.update.bars import parse_row

HOME = ".update"
TAIL = 4096  # bytes; a row has about 120


@dataclass(frozen=True)
class MarketFolder:
    """A folder in the layout of the Kaggle set, held by this process."""

    root: Path

    @property
    def home(self) -> Path:
        return self.root / HOME

    @property
    def metadata(self) -> Path:
        return self.root / METADATA

    def list_files(self, names: dict[str, str]) -> dict[str, list[Path]]:
        """Symbol -> its CSVs: more than one where it is in both stocks/ and etfs/. names: the metadata's."""
        found: dict[str, list[Path]] = {}
        for kind in FOLDERS:
            for path in sorted((self.root / kind).glob("[!.]*.[cC][sS][vV]")):
                found.setdefault(read_symbol(f"{kind}/{path.name}", names), []).append(path)
        return found

    def replace(self, path: Path, data: bytes) -> None:
        """Write a file so that it is there whole or not at all, also after a loss of power. Raises ResourceError."""
        beside = self.home / "new"
        try:
            with beside.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            path.parent.mkdir(exist_ok=True)
            beside.replace(path)
        except OSError as error:
            with suppress(OSError):
                beside.unlink()
            raise explain_full(path, error) from error


def explain_full(path: Path, error: OSError) -> ResourceError:
    """What to say where a file cannot be written."""
    return ResourceError(
        f"{path} cannot be written ({error.strerror}). All files are whole. Make room, or give the right to write "
        "there, and run the same command again."
    )


def find_folder(text: str) -> Path:
    """The folder that a DATA_DIR names. Raises ParameterError for a URL: an update writes files again and again."""
    if is_url(text):
        raise ParameterError(
            "An update keeps a folder of this machine current, not a URL: update a folder and copy it there afterwards."
        )
    return Path(text)


@contextmanager
def hold_folder(root: Path) -> Iterator[MarketFolder]:
    """Hold a folder for an update; it is made if it is not there.

    Raises InputError if it cannot be a folder, LockedError if another update holds it, ResourceError if it cannot be
    written.
    """
    if root.exists() and not root.is_dir():
        raise InputError(f"{root} is not a folder: an update needs the CSVs unpacked.")
    folder = MarketFolder(root)
    try:
        folder.home.mkdir(parents=True, exist_ok=True)
        file = open_lock(folder.home / "lock")
    except OSError as error:
        raise explain_full(root, error) from error
    with file as lock:
        if not try_lock(lock):
            raise LockedError(f"Another update holds {root}. Wait for its end: nothing has to be asked for twice.")
        yield folder


def read_last_day(path: Path) -> date | None:
    """The day of the last whole row, from the file's end alone; None where there is no such row, or no such file."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return None
    rows = (parse_row(line) for line in reversed(lines))
    return next((day for day, bar in rows if bar is not None), None)
