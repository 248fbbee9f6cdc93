"""The run folder: what runs and notebooks publish into, and what everybody asks it for."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline.datasets import leftovers
from pipeline.datasets.files import write_atomically
from pipeline.datasets.lock import hold_run
from pipeline.datasets.store import Draft, Version, find_version, open_draft
from pipeline.errors import InputError
from pipeline.stages import STAGES

DATASETS = tuple(dataset for stage in STAGES for dataset in stage.writes)


class RunFolder:
    """A folder for everything that runs make: datasets in versions, and records beside them. It need not be there."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)

    def __str__(self) -> str:
        return str(self.path)

    def find(self, dataset: str) -> Version | None:
        """The current version of a dataset, None where there is none. Raises InputError where it is damaged."""
        return find_version(self.path / dataset)

    def current(self, dataset: str) -> Version:
        """The current version of a dataset. Raises InputError, which names the notebook to run, where there is none."""
        version = self.find(dataset)
        if version is None:
            notebook = next((stage.notebook for stage in STAGES if dataset in stage.writes), "the notebook of it")
            raise InputError(f"There is no `{dataset}` in {self} yet: run notebooks/{notebook} first.")
        return version

    def list_current(self) -> dict[str, Version]:
        """The current version of each dataset that has one."""
        return {name: version for name in DATASETS if (version := self.find(name)) is not None}

    def open_draft(self, dataset: str) -> Draft:
        """A new version of a dataset to write into; see store.open_draft."""
        return open_draft(self.path, dataset)

    @contextmanager
    def hold(self) -> Iterator[str]:
        """Hold the folder for a run and everything that it starts; see lock.hold_run."""
        with hold_run(self.path) as token:
            yield token

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
        path = self.path / name
        path.parent.mkdir(exist_ok=True)
        write_atomically(path, json.dumps(record, indent=1) + "\n")

    def restore_pointers(self) -> list[str]:
        """Make the newest whole version current where a pointer is gone or damaged. Only for the folder's holder.

        Returns a sentence for each dataset where that was so.
        """
        told = (leftovers.restore_pointer(self.path / dataset) for dataset in DATASETS)
        return [sentence for sentence in told if sentence]

    def clear_leftovers(self) -> list[Path]:
        """Remove what killed processes left of the datasets. Only for the folder's holder."""
        return [path for dataset in DATASETS for path in leftovers.clear_leftovers(self.path / dataset)]

    def prune_versions(self, keep: int) -> list[Path]:
        """Remove all but the `keep` newest versions of each dataset, and never the current one."""
        return [path for dataset in DATASETS for path in leftovers.prune_versions(self.path / dataset, keep)]
