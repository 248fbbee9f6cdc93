"""The live lines of a run on a terminal: the stage at work, how far it is, and the stages that wait."""

import json
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from pipeline.runs.results import StageResult

STYLES = {"done": "green", "cached": "cyan", "failed": "bold red", "skipped": "dim", "running": "yellow"}


class Board:
    """Drawn anew several times a second, by the thread that draws."""

    def __init__(self, stages: "list[StageResult]") -> None:
        self.waiting = list(stages)
        self.line: StageLine | None = None
        self.words, self.since = "", time.monotonic()

    def begin(self, what: str) -> None:
        self.words, self.since = what, time.monotonic()

    def begin_stage(self, stage: "StageResult", progress: Path) -> None:
        self.words = ""
        self.waiting = [other for other in self.waiting if other is not stage]
        self.line = StageLine(stage, progress)

    def note_cell(self, number: int, cells: int) -> None:
        if self.line:
            self.line.cell = f"cell {number} of {cells}"

    def end_stage(self, stage: "StageResult") -> None:
        self.line, self.words = None, ""
        self.waiting = [other for other in self.waiting if other is not stage]

    def __rich__(self) -> Group:
        now: list[Text | StageLine] = [self.line] if self.line else []
        if self.words:
            now = [Text(f"{self.words} {time.monotonic() - self.since:.0f} s", STYLES["running"])]
        return Group(*now, *(Text(f"{stage.name:<10}waiting", "dim") for stage in self.waiting))


def tell_memory(stage: "StageResult") -> str:
    """The most memory that the run's processes took together during a stage."""
    return f"{stage.peak_bytes / 2**30:.2f} GiB" if stage.peak_bytes else ""


class StageLine:
    """One stage at work: time, memory, the cell it is at, and how far that cell is."""

    def __init__(self, stage: "StageResult", progress: Path) -> None:
        self.stage, self.progress, self.start = stage, progress, time.monotonic()
        self.cell = ""

    def __rich__(self) -> Table:
        seconds = time.monotonic() - self.start
        line = Table.grid(padding=(0, 1))
        running = Text("running ", STYLES["running"])
        memory = f"{tell_memory(self.stage):>9}"
        line.add_row(f"{self.stage.name:<9}", running, f"{seconds:>7.1f} s", memory, self.cell, self.read_progress())
        return line

    def read_progress(self) -> str:
        """The last line that the notebook wrote, for a person: 5,120/8,049 files, 17,900,000 rows, 1.6 M rows/s, 7 s
        left.
        """
        with suppress(OSError, ValueError, IndexError, KeyError, ZeroDivisionError):
            last = json.loads(self.progress.read_text().splitlines()[-1])
            done, total, seconds = last["done"], last["total"], last["seconds"]
            if done == total:
                return ""
            if not done:
                return f"{total:,} {last['unit']}"
            left = seconds / done * (total - done)
            rate = last["rows"] / seconds / 1e6
            return f"{done:,}/{total:,} {last['unit']}, {last['rows']:,} rows, {rate:.1f} M rows/s, {left:.0f} s left"
        return ""
