"""What a person sees of a run: a live line for each stage on a terminal, plain lines anywhere else."""

import json
import os
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from pipeline.reports.drift import tell_drift
from pipeline.reports.scrubbing import scrub

if TYPE_CHECKING:
    from pipeline.runs.results import RunResult, StageResult

STYLES = {"done": "green", "cached": "cyan", "failed": "bold red", "skipped": "dim", "running": "yellow"}


class Terminal(Console):
    """A console whose reader may go away, as `head` does after a line: a run goes on and is finished without one."""

    def print(self, *words: Any, **options: Any) -> None:
        try:
            super().print(*words, **options)
        except OSError as error:  # written into a file on a full disk, for one
            self.fall_silent()
            if not self.stderr and sys.stderr:
                sys.stderr.write(f"warning: what a run says cannot be written: {error}\n")

    def on_broken_pipe(self) -> None:
        self.fall_silent()

    def fall_silent(self) -> None:
        """Say no more, and throw away what is still to be written: Python would try again at its end."""
        self.quiet = True
        with suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.file.fileno())
            os.close(nowhere)


class Display:
    """The terminal of a run. quiet: nothing but errors."""

    def __init__(self, quiet: bool = False) -> None:
        self.console = Terminal(quiet=quiet, highlight=False)
        self.errors = Terminal(stderr=True, highlight=False)
        self.live: Live | None = None

    def say(self, text: str) -> None:
        self.console.print(text, markup=False, soft_wrap=True)

    def warn(self, text: str) -> None:
        self.errors.print(Text(f"warning: {text}", "yellow"), soft_wrap=True)

    def fail(self, text: str) -> None:
        self.errors.print(f"error: {text}", style="red", markup=False, soft_wrap=True)

    def begin_stage(self, stage: "StageResult", progress: Path) -> None:
        """Show a stage at work; `progress` is the file in which its notebook tells how far it is."""
        if self.console.is_terminal:
            self.live = Live(StageLine(stage, progress), console=self.console, refresh_per_second=4, transient=True)
            self.live.start()

    def end_stage(self, stage: "StageResult") -> None:
        if self.live:
            self.live.stop()
            self.live = None
        note = {"cached": "nothing changed", "done": f"({stage.why})"}.get(stage.state, "")
        line = Text(f"{stage.name:<10}")
        line.append(f"{stage.state:<8}", STYLES[stage.state])
        line.append(f"{stage.seconds:>8.1f} s {tell_memory(stage):>9}  " if stage.state != "cached" else " " * 22)
        line.append(note, "dim")
        self.console.print(line, soft_wrap=True)

    def end_run(self, result: "RunResult") -> None:
        """The verdict, and on failure one line on standard error that says what to do."""
        if result.error:
            self.errors.print(Text(f"error: {scrub(result.error)}", "red"), soft_wrap=True)
            report = result.folder / "report.html"
            details = report if report.exists() else result.folder  # a full disk takes no report
            self.errors.print(f"details: {details}", markup=False, soft_wrap=True)
        else:
            if result.drift:
                self.console.print(tell_drift(result.drift), markup=False, soft_wrap=True)
            self.console.print(
                f"done in {result.seconds:.1f} s: {result.folder / 'report.html'}", markup=False, soft_wrap=True
            )


def tell_memory(stage: "StageResult") -> str:
    """The most memory that the run's processes took together during a stage."""
    return f"{stage.peak_bytes / 2**30:.2f} GiB" if stage.peak_bytes else ""


class StageLine:
    """One line that is drawn anew several times a second: stage, time, memory, progress."""

    def __init__(self, stage: "StageResult", progress: Path) -> None:
        self.stage, self.progress, self.start = stage, progress, time.monotonic()

    def __rich__(self) -> Table:
        seconds = time.monotonic() - self.start
        line = Table.grid(padding=(0, 1))
        running = Text("running ", STYLES["running"])
        memory = f"{tell_memory(self.stage):>9}"
        line.add_row(f"{self.stage.name:<9}", running, f"{seconds:>7.1f} s", memory, self.read_progress())
        return line

    def read_progress(self) -> str:
        """The last line that the notebook wrote, for a person: 5,120/8,049 files, 17,900,000 rows, 1.6 M rows/s, 7 s
        left.
        """
        with suppress(OSError, ValueError, IndexError, KeyError, ZeroDivisionError):
            last = json.loads(self.progress.read_text().splitlines()[-1])
            done, total, seconds = last["done"], last["total"], last["seconds"]
            if not done or done == total:
                return f"{total:,} {last['unit']}"
            left = seconds / done * (total - done)
            rate = last["rows"] / seconds / 1e6
            return f"{done:,}/{total:,} {last['unit']}, {last['rows']:,} rows, {rate:.1f} M rows/s, {left:.0f} s left"
        return ""
