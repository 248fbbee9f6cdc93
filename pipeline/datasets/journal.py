"""A journal: lines that are there as soon as they are added, so that a killed process loses none.

In a folder it is a file that grows. An object cannot grow: there it is put anew with each line until it is full, and
another one follows. Each process puts objects of its own, so nobody's lines can be lost to another.
"""

import secrets
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Protocol

from pipeline.datasets.objects import ObjectPath
from pipeline.datasets.places import Place, look_at, read_in_order

FULL = 100  # lines of an object


class Journal(Protocol):
    """The lines of this process and those that killed ones have left."""

    def read(self) -> list[str]:
        """The lines of killed processes."""

    def add(self, line: str) -> None:
        """Raises OSError where a folder cannot be written."""

    def is_empty(self) -> bool: ...

    def clear(self) -> None:
        """Remove all lines, once they are kept elsewhere."""

    def close(self) -> None: ...


class FileJournal:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = path.open("a")
        if not self.is_empty():
            self.file.write("\n")  # the line that a kill cut short stays alone

    def read(self) -> list[str]:
        return read_file(self.path)

    def add(self, line: str) -> None:
        self.file.write(line + "\n")
        self.file.flush()

    def is_empty(self) -> bool:
        return not self.path.stat().st_size

    def clear(self) -> None:
        self.file.truncate(0)

    def close(self) -> None:
        self.file.close()


class ObjectJournal:
    def __init__(self, folder: ObjectPath) -> None:
        self.folder = folder
        self.name = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(4)}"
        self.left = list_segments(folder)
        self.put: list[ObjectPath] = []
        self.lines: list[str] = []

    def read(self) -> list[str]:
        return read_segments(self.folder, self.left)

    def add(self, line: str) -> None:
        if not self.lines:
            self.put.append(self.folder / f"{self.name}-{len(self.put):06}")
        self.lines.append(line)
        self.put[-1].write_text("\n".join(self.lines) + "\n")
        if len(self.lines) == FULL:
            self.lines = []

    def is_empty(self) -> bool:
        return not self.left and not self.put

    def clear(self) -> None:
        for segment in (*self.left, *self.put):
            segment.unlink()
        self.left, self.put, self.lines = [], [], []

    def close(self) -> None:
        """Nothing: every line is there."""


def open_journal(path: Place) -> Journal:
    """A journal to add to: a file, or a folder of objects."""
    return FileJournal(path) if isinstance(path, Path) else ObjectJournal(path)


def read_journal(path: Place) -> list[str]:
    """The lines of a journal, by whoever they are; none if it is not there."""
    if isinstance(path, Path):
        return read_file(path) if path.exists() else []
    return read_segments(path, list_segments(path))


def read_file(path: Path) -> list[str]:
    return path.read_text(errors="replace").splitlines()


def list_segments(folder: ObjectPath) -> list[ObjectPath]:
    return sorted(path for path, _ in folder.list_files())


def read_segments(folder: ObjectPath, segments: Iterable[ObjectPath]) -> list[str]:
    """Their lines. A segment that has gone meanwhile has none: they are kept elsewhere."""
    found = read_in_order(folder, (partial(look_at, segment) for segment in segments))
    return [line for sight in found for line in (sight.data or b"").decode(errors="replace").splitlines()]
