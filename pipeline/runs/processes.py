"""The processes of a run: how much memory they take, and how they are ended when their run is over."""

import os
from contextlib import suppress

import psutil

from pipeline.datasets.lock import TOKEN_VARIABLE
from pipeline.datasets.places import Place

FOLDER_VARIABLE = "PIPELINE_RUN_DIR"  # tells to which run folder a process belongs


def measure_memory() -> int:
    """Bytes that this process and everything it started take now; a page shared by several counts once."""
    total = 0
    this = psutil.Process()
    for process in [this, *this.children(recursive=True)]:
        with suppress(psutil.Error):
            full = process.memory_full_info()
            total += getattr(full, "pss", full.uss)
    return total


def end_children() -> None:
    """End every process that this run started and that is still there: kernels of an interrupted notebook."""
    end([one for one in psutil.Process().children(recursive=True) if read_token(one) == os.environ[TOKEN_VARIABLE]])


def read_token(process: psutil.Process) -> str | None:
    """The token of the run that a process belongs to; None if it belongs to none, or is gone."""
    with suppress(psutil.Error):
        return process.environ().get(TOKEN_VARIABLE)
    return None


def end_orphans(run_dir: Place) -> int:
    """End what outlived a killed run of this folder: kernels, Spark, its workers. Returns how many there were.

    Only for the holder of the run folder. A process of a run carries the folder and the run's token in its environment.
    """
    orphans = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            environment = process.environ()
            belongs = environment.get(FOLDER_VARIABLE) == str(run_dir)
            if belongs and environment.get(TOKEN_VARIABLE) not in (None, os.environ.get(TOKEN_VARIABLE)):
                orphans.append(process)
    end(orphans)
    return len(orphans)


def end(processes: list[psutil.Process]) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(processes, timeout=10)
