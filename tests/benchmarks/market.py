"""The project against its peers: python -m tests.benchmarks.market --corpus FOLDER

Runs every contestant in a process of its own, in turn, on the same corpus, which is mapped and locked in memory for
the whole time. Checks that all agree on rows and sums, and prints one table with seconds, ratios to Polars and peak
memory (the proportional set size of all processes), and which of the project's goals were met, for a corpus of the
size of the whole market. Needs tests/benchmarks/requirements.txt.
"""

import argparse
import ctypes
import json
import mmap
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil

from tests.benchmarks import contestants

ROOT = Path(__file__).parents[2]
GOALS = (  # contestant, measure, at most: seconds, and GiB of all processes
    ("notebooks", "train", 20.0),
    ("notebooks", "peak", 2.5),
    ("next_day", "peak", 3.5),
)
OF_PANDAS = 0.36  # of the seconds of the pandas way, which run_all.py may take for the whole
SAMPLING = 1.0  # seconds between two looks at the memory, which hold up those who are looked at


def lock_in_memory(corpus: Path) -> list[mmap.mmap]:
    """Map and lock all files of the corpus, so that no contestant waits for the disk. Returns what keeps them there."""
    libc = ctypes.CDLL(None, use_errno=True)
    maps = []
    for path in corpus.glob("*/*.csv"):
        if path.stat().st_size:
            with path.open("rb") as file:
                one = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            address = np.frombuffer(one, np.uint8).ctypes.data
            if libc.mlock(ctypes.c_void_p(address), ctypes.c_size_t(len(one))):
                raise OSError(ctypes.get_errno(), f"mlock of {path}: raise the limit (ulimit -l unlimited)")
            maps.append(one)
    return maps


def measure(name: str, corpus: Path, work: Path) -> dict:
    """Run one contestant. Returns what it printed, its wall time and the peak of its processes' memory in GiB."""
    work.mkdir()
    command = [sys.executable, "-m", "tests.benchmarks.contestants", name, str(corpus), str(work)]
    start, peak = time.monotonic(), 0
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        while process.poll() is None:
            peak = max(peak, sum(map(read_pss, [psutil.Process(process.pid), *list_children(process.pid)])))
            time.sleep(SAMPLING)
        wall = time.monotonic() - start
        printed = process.stdout.read().strip().splitlines()
    if process.returncode or not printed:
        raise RuntimeError(f"{name} ended with {process.returncode}: run it by hand: {' '.join(command)}")
    return {"name": name, **json.loads(printed[-1]), "wall": wall, "peak": peak / 2**30}


def list_children(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def read_pss(process: psutil.Process) -> int:
    try:
        return process.memory_full_info().pss
    except psutil.Error:
        return 0


def check_agreement(results: list[dict]) -> None:
    """All contestants that read the whole corpus found the same rows, volumes and features."""
    whole = [one for one in results if not one.get("part") and one.get("rows")]
    for what in ("rows", "volume"):
        assert len({one[what] for one in whole}) <= 1, {one["name"]: one[what] for one in whole}
    for what in ("means", "medians"):
        sums = {one["name"]: one[what] for one in whole if one.get(what) is not None}
        spread = max(sums.values(), default=0) - min(sums.values(), default=0)
        assert spread <= 1e-9 * abs(max(sums.values(), default=0)), sums


def show_table(results: list[dict]) -> str:
    base = next((one for one in results if one["name"] == "polars"), None)
    lines = [
        "| contestant | ingest s | features s | train s | process s | against Polars: ingest, features | peak GiB |",
        "|---|---|---|---|---|---|---|",
    ]
    for one in results:
        ratios = [
            f"{one[stage] / base[stage]:.2f}" if base and one.get(stage) and not one.get("part") else ""
            for stage in ("ingest", "features")
        ]
        seconds = [f"{one[stage]:.1f}" if one.get(stage) else "" for stage in ("ingest", "features", "train", "wall")]
        label = contestants.TITLES[one["name"]] + (f" ({one['part']})" if one.get("part") else "")
        lines.append(f"| {label} | {' | '.join(seconds)} | {', '.join(filter(None, ratios))} | {one['peak']:.1f} |")
    return "\n".join(lines)


def show_goals(results: list[dict]) -> str:
    """A line for each goal whose contestants ran."""
    found = {one["name"]: one for one in results}
    goals = [(name, measure, found[name][measure], most) for name, measure, most in GOALS if name in found]
    if {"notebooks", "pandas"} <= set(found):
        goals.append(("notebooks", "wall of pandas", found["notebooks"]["wall"] / found["pandas"]["wall"], OF_PANDAS))
    return "\n".join(
        f"{'met' if value <= most else 'MISSED'}: {name}, {measure} {value:.2f}, goal {most}"
        for name, measure, value, most in goals
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--corpus", type=Path, required=True, help="a folder in the layout of the Kaggle set")
    parser.add_argument("--only", default=",".join(contestants.TITLES), help="contestants, separated by commas")
    parser.add_argument("--rounds", type=int, default=1, help="how often all of them run, in turn")
    options = parser.parse_args()
    locked = lock_in_memory(options.corpus)
    print(f"{len(locked)} files, {sum(map(len, locked)) / 1e9:.2f} GB, locked in memory; {os.cpu_count()} cores\n")
    for number in range(options.rounds):
        with tempfile.TemporaryDirectory() as folder:
            results = [measure(name, options.corpus, Path(folder, name)) for name in options.only.split(",")]
        check_agreement(results)
        print(f"round {number + 1}\n\n{show_table(results)}\n\n{show_goals(results)}\n", flush=True)


if __name__ == "__main__":
    main()
