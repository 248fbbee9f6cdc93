"""What a person sees of a run: live lines of the stages on a terminal, plain lines anywhere else."""

import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.live import Live
from rich.text import Text

from pipeline.datasets.places import Place
from pipeline.reports.drift import tell_drift
from pipeline.reports.scrubbing import scrub
from pipeline.runs.board import STYLES, Board, tell_memory

if TYPE_CHECKING:
    from pipeline.runs.results import RunResult, StageResult

INTERRUPTED = 130  # the exit code of a run that Ctrl-C ended


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
        self.board = Board([])

    def say(self, text: str) -> None:
        self.console.print(text, markup=False, soft_wrap=True)

    def warn(self, text: str) -> None:
        self.errors.print(Text(f"warning: {text}", "yellow"), soft_wrap=True)

    def fail(self, text: str) -> None:
        self.errors.print(f"error: {text}", style="red", markup=False, soft_wrap=True)

    @contextmanager
    def show(self, stages: "list[StageResult]", folder: Place) -> Iterator[None]:
        """Show a run for the length of the block: from the first moment what is done, and what is still to come."""
        self.say(f"{', '.join(stage.name for stage in stages)}: into {folder}")
        self.board = Board(stages)
        if not self.console.is_terminal:
            yield
            return
        with Live(self.board, console=self.console, refresh_per_second=4, transient=True):
            yield

    def begin(self, what: str) -> None:
        """Show what goes on before a stage, in words."""
        self.board.begin(what)
        if not self.console.is_terminal:
            self.say(f"{what} ...")

    def begin_stage(self, stage: "StageResult", progress: Path) -> None:
        """Show a stage at work; `progress` is the file in which its notebook tells how far it is."""
        self.board.begin_stage(stage, progress)

    def note_cell(self, number: int, cells: int) -> None:
        """Cell `number` of so many begins."""
        self.board.note_cell(number, cells)

    def end_stage(self, stage: "StageResult") -> None:
        self.board.end_stage(stage)
        note = {"cached": "nothing changed", "done": f"({stage.why})"}.get(stage.state, "")
        line = Text(f"{stage.name:<10}")
        line.append(f"{stage.state:<8}", STYLES[stage.state])
        line.append(f"{stage.seconds:>8.1f} s {tell_memory(stage):>9}  " if stage.state != "cached" else " " * 22)
        line.append(note, "dim")
        self.console.print(line, soft_wrap=True)

    def end_run(self, result: "RunResult") -> None:
        """The verdict, and on failure one line on standard error that says what to do."""
        if result.error:
            if result.exit_code == INTERRUPTED and self.errors.is_terminal:
                self.errors.print()  # the terminal has written ^C at the start of the line
            self.errors.print(Text(f"error: {scrub(result.error)}", "red"), soft_wrap=True)
            report = result.records / "report.html"
            details = report if report.exists() else result.records  # a full disk takes no report
            self.errors.print(f"details: {details}", markup=False, soft_wrap=True)
        else:
            self.end_well(result)

    def end_well(self, result: "RunResult") -> None:
        """What came out, what to look at before believing it, and what to do next."""
        if result.drift:
            self.say(tell_drift(result.drift))
        for sentence in result.outcome:
            self.say(sentence)
        for verdict in result.verdicts:
            if not verdict["kept"]:
                self.console.print(Text(f"look: {verdict['what']}", "yellow"), soft_wrap=True)
        self.say(f"done in {result.seconds:.1f} s: {result.records / 'report.html'}")
        if result.outcome:
            self.say(f"serve it: python -m serving --run-dir {shlex.quote(str(result.records.parent.parent))}")
