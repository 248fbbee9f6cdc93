"""Publishing into an object store, where nothing can be renamed and nobody can be locked out.

<run>/<dataset>/CURRENT          the name of the current version, a line of text
<run>/<dataset>/<name>/          a version, or one in the making: it has its name from the start, the manifest last

Whoever publishes names in his put of CURRENT the state that he saw when he began. The store takes it only if that is
still so: this is lock and commit in one. Nobody waits; who began from an older state has worked in vain.

On one machine there is a lock besides, as in a folder: a second run ends at once, and what outlived a killed run can
publish nothing.
"""

import hashlib
import json
import os
import secrets
import shutil
import tempfile
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

from pipeline.datasets.lock import TOKEN_VARIABLE, hold_run, publish_right
from pipeline.datasets.objects import ObjectPath
from pipeline.datasets.places import Place, look_at, read_clock, remove, replace_pointer
from pipeline.datasets.scratch import find_scratch, make_scratch
from pipeline.datasets.store import CURRENT, MANIFEST, VERSION_NAME, Draft, next_time
from pipeline.environment import set_variables
from pipeline.errors import LockedError, ResourceError
from pipeline.stages import STAGES

BASE_VARIABLE = "PIPELINE_RUN_BASE"  # dataset -> name of its version, as the run saw it when it began
Base = Mapping[str, str | None]


class PublishingInStore:
    """How versions get into a run folder of a store. here: the folder on this machine for what must not leave it."""

    def __init__(self, path: ObjectPath) -> None:
        self.path = path
        self.here = find_scratch(path)
        self.opened: list[Path] = []  # the records that this process is writing

    @contextmanager
    def hold(self) -> Iterator[str]:
        """Hold the run folder on this machine, and note what is current: what this run publishes replaces that."""
        make_scratch(self.here)
        with hold_run(self.here, str(self.path)) as token, set_variables({BASE_VARIABLE: ""}):
            self.note_base()
            yield token

    def note_base(self) -> None:
        datasets = [dataset for stage in STAGES for dataset in stage.writes]
        os.environ[BASE_VARIABLE] = json.dumps(self.read_base(datasets))

    def read_base(self, datasets: list[str]) -> dict[str, str | None]:
        return {dataset: read_name(self.path / dataset / CURRENT) for dataset in datasets}

    def open_draft(self, dataset: str) -> Draft:
        """A name to upload parts under, and a folder on this machine for small files. Both are removed with the draft,
        or at the process's end, unless it is published.
        """
        base: dict[str, str | None] = json.loads(os.environ.get(BASE_VARIABLE) or "{}")
        # By hand the notebook begins here; and what a run only adds to, it reads no earlier.
        base |= self.read_base([name for name in (dataset, *list_inputs(dataset)) if name not in base])
        home = self.path / dataset
        attempts = home / f"{next_time(home)}-{make_mark()}"
        make_scratch(self.here)
        scratch = Path(tempfile.mkdtemp(prefix="draft-", dir=self.here))
        draft = ObjectDraft(self.here, dataset, scratch, attempts, self.path, base)
        draft.at_end = weakref.finalize(draft, discard, scratch, attempts)
        return draft

    def is_leftover(self, path: Place, age: timedelta) -> bool:
        """Whether a version was never finished or never became current, by a run that is gone.

        Of this run's own that is so once it ends; of another's nobody can tell, but by the age of what it wrote last.
        """
        if not isinstance(path, ObjectPath) or not VERSION_NAME.fullmatch(path.name) or not path.is_dir():
            return False
        pointer = path.parent / CURRENT
        current = read_name(pointer)
        if (path / MANIFEST).is_file() and (current is None or path.name <= current):
            return False
        if path.name == current:  # damaged, and for restore_pointer to judge
            return False
        if os.environ.get(TOKEN_VARIABLE) and path.name.endswith(make_mark()):
            return True
        newest = max((stat.st_mtime for _, stat in path.walk()), default=0.0)
        if age and newest > read_clock(self.path) - age.total_seconds():
            return False
        # Who went back to an older version has made the pointer newer than this one, by the same clock.
        whole = (path / MANIFEST).is_file()
        went_back = whole and current is not None and pointer.stat().st_mtime > (path / MANIFEST).stat().st_mtime
        return not went_back

    def open_records(self) -> Path:
        folder = self.here / "runs" / next_time(self.path / "runs")
        folder.mkdir(parents=True)
        self.opened.append(folder)
        return folder

    def keep_records(self, folder: Path) -> Place:
        kept = self.path / "runs" / folder.name
        try:
            for path in sorted(filter(Path.is_file, folder.rglob("*"))):
                (kept / path.relative_to(folder).as_posix()).write_bytes(path.read_bytes())
        except ResourceError as error:
            raise ResourceError(f"They stay in {folder} until the next run of this machine. {error}") from None
        shutil.rmtree(folder)
        return kept

    def find_half_written(self, patterns: tuple[str, ...]) -> list[Path]:
        return []  # an object is there whole or not at all

    def find_unkept(self) -> list[Path]:
        home = self.here / "runs"
        return sorted(path for path in home.iterdir() if path not in self.opened) if home.is_dir() else []


@dataclass(eq=False)
class ObjectDraft(Draft):
    """A version in the making in a store. path: a folder on this machine, whose files are uploaded at the end."""

    run: ObjectPath
    base: Base
    at_end: "weakref.finalize[..., Any] | None" = field(default=None, repr=False)

    @property
    def progress(self) -> Place:
        return self.attempts / "progress"

    def commit(self, manifest: Mapping[str, Any]) -> Place:
        """Upload what is in the folder, the manifest last, and replace the pointer."""
        assert isinstance(self.attempts, ObjectPath)
        for path in sorted(self.path.iterdir(), key=lambda path: (path.name == MANIFEST, path.name)):
            (self.attempts / path.name).write_bytes(path.read_bytes())
        with publish_right(self.run_dir, str(self.run)):
            for dataset in list_inputs(self.dataset):
                self.check(dataset, read_name(self.run / dataset / CURRENT))
            pointer = self.run / self.dataset / CURRENT
            seen = look_at(pointer)
            self.check(self.dataset, decode_name(seen.data))
            try:
                replace_pointer(pointer, seen, f"{self.attempts.name}\n")
            except LockedError:
                raise LockedError(self.tell_refusal(self.dataset)) from None
        if self.at_end:
            self.at_end.detach()
        shutil.rmtree(self.path)
        return self.attempts

    def check(self, dataset: str, current: str | None) -> None:
        """Raise LockedError unless the version that is current is the one of when the run began, or the run's own."""
        if current != self.base.get(dataset) and not (current or "").endswith(f"-{make_mark()}"):
            raise LockedError(self.tell_refusal(dataset))

    def tell_refusal(self, dataset: str) -> str:
        began = "this run" if BASE_VARIABLE in os.environ else "this notebook"
        return (
            f"Somebody else has published `{dataset}` into {self.run} since {began} began: nothing was published, "
            "what is there now is whole. Run again to go on from it."
        )


def discard(scratch: Path, attempts: ObjectPath) -> None:
    shutil.rmtree(scratch, ignore_errors=True)
    with suppress(Exception):  # a store that is away: a later run clears up
        remove(attempts)


def list_inputs(dataset: str) -> tuple[str, ...]:
    """The datasets that one is made of."""
    return next((stage.reads for stage in STAGES if dataset in stage.writes), ())


def read_name(pointer: ObjectPath) -> str | None:
    return decode_name(look_at(pointer).data)


def decode_name(data: bytes | None) -> str | None:
    return None if data is None else data.decode(errors="replace").strip()


def make_mark() -> str:
    """Eight digits by which a run knows the versions of its own: of its token, or of this process where it has none."""
    token = os.environ.get(TOKEN_VARIABLE) or make_process_token(os.getpid())
    return hashlib.sha256(token.encode()).hexdigest()[:8]


@cache
def make_process_token(process: int) -> str:
    return f"{process} {secrets.token_hex(8)}"
