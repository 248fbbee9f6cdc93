"""The folder that is kept current, on a disk or in a store: which file is whose, one update at a time, files replaced
whole.

Everything that only an update needs is in FOLDER/.update, so that whoever reads the folder meanwhile sees whole CSVs
and nothing else.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import date

from pipeline.datasets.lease import hold_alone, keep
from pipeline.datasets.places import Place, Sight, look_at, read_end, replace_file
from pipeline.errors import InputError, LockedError, ResourceError
from pipeline.ingest.delivery import FOLDERS, METADATA
from pipeline.ingest.names import read_symbol
from pipeline.update.bars import parse_row

HOME = ".update"
JOURNAL = f"{HOME}/journal"
TAIL = 4096  # bytes; a row has about 120
UNSEEN = Sight(None, "create")


@dataclass(frozen=True)
class MarketFolder:
    """A folder in the layout of the Kaggle set, held by this process.

    check: raises LockedError once it is not held any more. seen: the files that were read, as they were then.
    """

    root: Place
    check: Callable[[], None] = keep
    seen: dict[Place, Sight] = field(default_factory=dict, compare=False)

    @property
    def home(self) -> Place:
        return self.root / HOME

    @property
    def metadata(self) -> Place:
        return self.root / METADATA

    def list_files(self, names: dict[str, str]) -> dict[str, list[Place]]:
        """Symbol -> its CSVs: more than one where it is in both stocks/ and etfs/. names: the metadata's."""
        found: dict[str, list[Place]] = {}
        for kind in FOLDERS:
            paths: list[Place] = [*(self.root / kind).glob("[!.]*.[cC][sS][vV]")]
            for path in sorted(paths, key=lambda path: path.name):
                found.setdefault(read_symbol(f"{kind}/{path.name}", names), []).append(path)
        return found

    def read(self, path: Place) -> bytes | None:
        """The bytes of a file, None if there is none. `replace` then replaces these and no others."""
        sight = look_at(path)
        self.seen[path] = replace(sight, data=None)  # not the bytes: all of a market's would not fit
        return sight.data

    def replace(self, path: Place, data: bytes) -> None:
        """Write a file so that it is there whole or not at all, also after a loss of power.

        Raises ResourceError where it cannot be written, LockedError if somebody else has taken over the folder, or
        has replaced the file in a store meanwhile.
        """
        self.check()
        try:
            replace_file(path, self.seen.pop(path, UNSEEN), data, self.home / "new")
        except OSError as error:
            raise explain_full(path, error) from error
        except LockedError as error:
            raise LockedError(f"{error} All files are whole: run the same command again.") from None


def explain_full(path: Place, error: OSError) -> ResourceError:
    """What to say where a file cannot be written."""
    return ResourceError(
        f"{path} cannot be written ({error.strerror}). All files are whole. Make room, or give the right to write "
        "there, and run the same command again."
    )


@contextmanager
def hold_folder(root: Place) -> Iterator[MarketFolder]:
    """Hold a folder for an update; it is made if it is not there.

    Raises InputError if it cannot be a folder, LockedError if another update holds it, ResourceError if it cannot be
    written.
    """
    if root.exists() and not root.is_dir():
        raise InputError(f"{root} is not a folder: an update needs the CSVs unpacked.")

    def refuse(who: str) -> str:
        by = f" ({who})" if who else ""
        return f"Another update holds {root}{by}. Wait for its end: nothing has to be asked for twice."

    with ExitStack() as stack:
        try:
            (root / HOME).mkdir(parents=True, exist_ok=True)
            check = stack.enter_context(hold_alone(root / HOME / "lock", refuse))
        except OSError as error:
            raise explain_full(root, error) from error
        yield MarketFolder(root, check)


def read_last_day(path: Place) -> date | None:
    """The day of the last whole row, from the file's end alone; None where there is no such row, or no such file."""
    try:
        lines = read_end(path, TAIL).decode(errors="replace").splitlines()
    except OSError:
        return None
    rows = (parse_row(line) for line in reversed(lines))
    return next((day for day, bar in rows if bar is not None), None)
