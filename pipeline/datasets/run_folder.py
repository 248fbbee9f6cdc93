"""The run folder: what runs and notebooks publish into, and what everybody asks it for."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from pipeline.datasets import leftovers
from pipeline.datasets.places import Place, open_place, write_whole
from pipeline.datasets.publishing import publish_into
from pipeline.datasets.store import Draft, Version, find_version
from pipeline.errors import InputError
from pipeline.stages import STAGES

DATASETS = tuple(dataset for stage in STAGES for dataset in stage.datasets)


class RunFolder:
    """A place for everything that runs make: datasets in versions, and records beside them. It need not be there."""

    def __init__(self, path: Place | str) -> None:
        self.path = open_place(path)
        self.publishing = publish_into(self.path)

    def __str__(self) -> str:
        return str(self.path)

    def find(self, dataset: str) -> Version | None:
        """The current version of a dataset, None where there is none. Raises InputError where it is damaged."""
        return find_version(self.path / dataset)

    def current(self, dataset: str) -> Version:
        """The current version of a dataset. Raises InputError, which names the notebook to run, where there is none."""
        version = self.find(dataset)
        if version is None:
            notebook = next((stage.notebook for stage in STAGES if dataset in stage.datasets), "the notebook of it")
            raise InputError(f"There is no `{dataset}` in {self} yet: run notebooks/{notebook} first.")
        return version

    def list_current(self) -> dict[str, Version]:
        """The current version of each dataset that has one."""
        return {name: version for name in DATASETS if (version := self.find(name)) is not None}

    def open_draft(self, dataset: str) -> Draft:
        """A new version of a dataset to write into."""
        return self.publishing.open_draft(dataset)

    @contextmanager
    def hold(self) -> Iterator[str]:
        """Hold the folder for a run and everything that it starts. Yields the run's token.

        Raises LockedError at once if another run of this machine holds it.
        """
        with self.publishing.hold() as token:
            yield token

    @property
    def here(self) -> Path:
        """The folder on this machine for what a run writes as it goes."""
        return self.publishing.here

    @property
    def spark_address(self) -> str | None:
        """Where Spark itself can write beside the data, whichever machine its tasks run on; None in an object store,
        which it cannot reach.
        """
        return f"file:{self.path.resolve()}" if self.path == self.here else None

    def open_records(self) -> Path:
        """A folder on this machine for the records of a run, named after the time."""
        return self.publishing.open_records()

    def keep_records(self, folder: Path) -> Place:
        """Put the records of a run where the data are, if they are elsewhere. Returns their place."""
        return self.publishing.keep_records(folder)

    def read_record(self, name: str) -> dict[str, Any] | None:
        """A record beside the datasets, a JSON object; None if there is none. Raises InputError if it is damaged."""
        path = self.path / name
        try:
            record = json.loads(path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError) as error:
            raise InputError(f"{path} cannot be read ({error}): remove it and run again.") from None
        if not isinstance(record, dict):
            raise InputError(f"{path} is no JSON object: remove it and run again.")
        return record

    def write_record(self, name: str, record: dict[str, Any]) -> None:
        write_whole(self.path / name, json.dumps(record, indent=1) + "\n")

    def restore_pointers(self) -> list[str]:
        """Make the newest whole version current where a pointer is gone or damaged. Only for the folder's holder.

        Returns a sentence for each dataset where that was so.
        """
        told = [leftovers.restore_pointer(self.path / dataset) for dataset in DATASETS]
        if any(told):
            self.publishing.note_base()
        return [sentence for sentence in told if sentence]

    def clear_leftovers(self, age: timedelta = timedelta(days=1)) -> list[Place]:
        """Remove what killed processes left of the datasets. Only for the folder's holder. age: how old that must be
        where nobody can tell whether its process lives, as in an object store.
        """
        found = partial(self.publishing.is_leftover, age=age)
        return [path for dataset in DATASETS for path in leftovers.clear_leftovers(self.path / dataset, found)]

    def prune_versions(self, keep: int) -> list[Place]:
        """Remove all but the `keep` newest versions of each dataset, and never the current one."""
        return [path for dataset in DATASETS for path in leftovers.prune_versions(self.path / dataset, keep)]
