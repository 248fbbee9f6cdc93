"""What publishing needs of a place: the right to publish, drafts, signs of what was never finished, a run's records.

In a folder all of it is the business of this machine: locks that the system gives back when their holder dies.
"""

from contextlib import AbstractContextManager
from datetime import timedelta
from pathlib import Path
from typing import Protocol

from pipeline.datasets.leftovers import is_leftover
from pipeline.datasets.lock import hold_run
from pipeline.datasets.object_publishing import PublishingInStore
from pipeline.datasets.places import Place
from pipeline.datasets.store import Draft, next_time, open_draft


class Publishing(Protocol):
    """How versions get into a place, of one kind or the other."""

    def hold(self) -> AbstractContextManager[str]:
        """Hold the place for a run and everything that it starts. Yields the run's token. Raises LockedError."""

    def note_base(self) -> None:
        """Take what is current now for what the run saw when it began: it has just put that in order itself."""

    def open_draft(self, dataset: str) -> Draft:
        """A new version of a dataset to write into."""

    def is_leftover(self, path: Place, age: timedelta) -> bool:
        """Whether an entry of a dataset was never finished, and never will be. age: of what nobody can be asked for."""

    @property
    def here(self) -> Path:
        """The folder on this machine for what a run writes as it goes."""

    def open_records(self) -> Path:
        """A folder on this machine for the records of a run, named after the time."""

    def keep_records(self, folder: Path) -> Place:
        """Put the records of a run where the data are. Returns their place."""

    def find_half_written(self, patterns: tuple[str, ...]) -> list[Path]:
        """Files that a killed run has begun, by their names in the run folder."""

    def find_unkept(self) -> list[Path]:
        """The records of killed runs of this machine, which nobody has put there."""


class PublishingInFolder:
    def __init__(self, path: Path) -> None:
        self.here = path

    def hold(self) -> AbstractContextManager[str]:
        return hold_run(self.here)

    def note_base(self) -> None:
        """Nothing: who holds a folder is alone in it."""

    def open_draft(self, dataset: str) -> Draft:
        return open_draft(self.here, dataset)

    def is_leftover(self, path: Place, age: timedelta) -> bool:
        return isinstance(path, Path) and is_leftover(path)

    def open_records(self) -> Path:
        home = self.here / "runs"
        home.mkdir(exist_ok=True)
        folder = home / next_time(home)
        folder.mkdir()
        return folder

    def keep_records(self, folder: Path) -> Place:
        return folder

    def find_half_written(self, patterns: tuple[str, ...]) -> list[Path]:
        return [path for pattern in patterns for path in filter(Path.is_file, self.here.glob(pattern))]

    def find_unkept(self) -> list[Path]:
        return []


def publish_into(place: Place) -> Publishing:
    return PublishingInFolder(place) if isinstance(place, Path) else PublishingInStore(place)
