"""How far a long Spark job is: tasks note it in a folder, the notebook that waits shows it."""

import json
import os
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

FILE_VARIABLE = "PIPELINE_PROGRESS"  # names the file to which run_all.py listens
INTERVAL = 0.5  # seconds


@dataclass(frozen=True)
class Tally:
    """What one task has done so far. A second attempt writes over what the first one noted."""

    folder: Path
    task: int

    def report(self, done: int, rows: int) -> None:
        # The folder goes when the job is over, and a note is not worth a task.
        with suppress(OSError):
            (self.folder / str(self.task)).write_text(f"{done} {rows}")


@contextmanager
def track(label: str, unit: str, total: int, folder: Path) -> Iterator[None]:
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
        shutil.rmtree(folder, ignore_errors=True)


def show_bar(label: str, unit: str, total: int, folder: Path, done: threading.Event) -> None:
    with tqdm(desc=label, total=total, unit=f" {unit}", leave=False) as bar:
        while not done.wait(INTERVAL):
            finished, rows = add_tallies(folder)
            bar.set_postfix_str(f"{rows:,} rows", refresh=False)
            bar.update(finished - bar.n)


def show_lines(label: str, unit: str, total: int, folder: Path, done: threading.Event, listener: Path) -> None:
    start = time.monotonic()
    over = False
    while not over:
        over = done.wait(INTERVAL)
        finished, rows = add_tallies(folder)
        line = {"label": label, "unit": unit, "done": finished, "total": total, "rows": rows}
        line["seconds"] = round(time.monotonic() - start, 2)
        with listener.open("a") as file:
            file.write(json.dumps(line) + "\n")


def add_tallies(folder: Path) -> tuple[int, int]:
    """Units and rows done by all tasks."""
    noted = [path.read_text().split() for path in folder.iterdir()]
    whole = [(int(pair[0]), int(pair[1])) for pair in noted if len(pair) == 2]  # a file being written may be empty
    return sum(done for done, _ in whole), sum(rows for _, rows in whole)
