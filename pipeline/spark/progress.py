"""How far a long Spark job is: tasks note it in a place that all see, the notebook that waits shows it."""

import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from pipeline.datasets.places import Place, by_kind, read_notes, remove, write_note
from pipeline.errors import PipelineError

FILE_VARIABLE = "PIPELINE_PROGRESS"  # names the file to which run_all.py listens
INTERVAL = 0.5  # seconds
STORE_INTERVAL = 2.0  # where each look and each note is a request


@dataclass
class Tally:
    """What one task has done so far. A second attempt counts for no more than the first one."""

    folder: Place
    task: int
    noted: float = float("-inf")

    def report(self, done: int, rows: int) -> None:
        if (now := time.monotonic()) - self.noted < by_kind(self.folder, 0.0, STORE_INTERVAL):
            return
        self.noted = now
        # The folder goes when the job is over, and a note is not worth a task.
        with suppress(OSError, PipelineError):
            write_note(self.folder, str(self.task), f"{done} {rows}")


@contextmanager
def track(label: str, unit: str, total: int, folder: Place) -> Iterator[None]:
    """Show the progress of the block's job: a bar in a notebook opened by hand, lines of JSON for `run_all.py`.

    folder: shared with the tasks, which write their `Tally` there; it is made and removed here. TQDM_DISABLE=1
    silences the bar.
    """
    folder.mkdir()
    done = threading.Event()
    job = (label, unit, total, folder, done)
    if listener := os.environ.get(FILE_VARIABLE):
        thread = threading.Thread(target=show_lines, args=(*job, Path(listener)), daemon=True)
    else:
        thread = threading.Thread(target=show_bar, args=job, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        with suppress(OSError, PipelineError):
            remove(folder)


def show_bar(label: str, unit: str, total: int, folder: Place, done: threading.Event) -> None:
    with tqdm(desc=label, total=total, unit=f" {unit}", leave=False) as bar:
        while not done.wait(by_kind(folder, INTERVAL, STORE_INTERVAL)):
            finished, rows = add_tallies(folder)
            bar.set_postfix_str(f"{rows:,} rows", refresh=False)
            bar.update(finished - bar.n)


def show_lines(label: str, unit: str, total: int, folder: Place, done: threading.Event, listener: Path) -> None:
    start = time.monotonic()
    over = False
    while not over:
        over = done.wait(by_kind(folder, INTERVAL, STORE_INTERVAL))
        finished, rows = add_tallies(folder)
        line = {"label": label, "unit": unit, "done": finished, "total": total, "rows": rows}
        line["seconds"] = round(time.monotonic() - start, 2)
        with listener.open("a") as file:
            file.write(json.dumps(line) + "\n")


def add_tallies(folder: Place) -> tuple[int, int]:
    """Units and rows done by all tasks."""
    latest: dict[str, tuple[int, int]] = {}
    with suppress(PipelineError):  # a store that does not answer just now
        for note in read_notes(folder):
            task, *pair = note.split()
            if len(pair) == 2:  # a file being written may be empty
                latest[task] = max(latest.get(task, (0, 0)), (int(pair[0]), int(pair[1])))
    return sum(done for done, _ in latest.values()), sum(rows for _, rows in latest.values())
