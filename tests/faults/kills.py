"""SIGKILL at random instants, each time followed by plain work: python -m tests.faults.kills publish|runs [COUNT]

publish kills a process that publishes without a pause, under the eyes of a reader. runs kills whole runs of run_all.py
on 60 files. --seed repeats what a failure printed; --keep FOLDER leaves everything there.
"""

import argparse
import hashlib
import json
import multiprocessing
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import psutil
import pyarrow as pa

from pipeline.datasets.parts import keep_attempts, write_attempt
from pipeline.datasets.run_folder import RunFolder
from pipeline.ingest.delivery import METADATA
from pipeline.ingest.source import SAMPLE
from pipeline.runs.processes import FOLDER_VARIABLE

ROOT = Path(__file__).parents[2]
SYMBOLS = 60
KEEP = 3
SCHEMA = pa.schema([pa.field("n", pa.int64())])
FORK = multiprocessing.get_context("fork")  # a child of a process that has imported everything begins at once
FAST = ("-p", "MODELS", "naive,grid", "-p", "NEXT_DAY", "false")  # what is killed is the run, not the training


def publish(run_dir: Path, length: int) -> None:
    """Publish a version of two parts."""
    draft = RunFolder(run_dir).open_draft("prices")
    tables = [pa.table({"n": range(start, start + length)}, schema=SCHEMA) for start in (0, length)]
    parts = keep_attempts(draft.path, [write_attempt(table, draft.path) for table in tables])
    draft.publish(parts, schema=SCHEMA, parameters={}, inputs={})


def publish_forever(run_dir: Path) -> None:
    length = 0
    while True:
        length += 1
        publish(run_dir, length)


def read_forever(run_dir: Path, reading, failures) -> None:
    """Read the current version over and over, and tell of the first one that is not whole. reading: a lock, held
    meanwhile: who reads for longer than KEEP publications may find his version removed.
    """
    while True:
        try:
            with reading:
                version = RunFolder(run_dir).current("prices")
                for file in version.manifest["files"]:
                    assert hash_file(version.path / file["name"]) == file["sha256"], version.path
        except Exception as error:
            failures.put(repr(error))
            return


def kill_publishers(count: int, seed: int, home: Path) -> Counter:
    """Kill `count` processes while they publish. Returns how often which kinds of leftover were found.

    Raises AssertionError if a reader ever saw anything but a whole version, or if plain work afterwards does not end
    in the same bytes as undisturbed, or leaves anything over.
    """
    chance, found = random.Random(seed), Counter()
    run_dir, undisturbed = home / "killed", home / "undisturbed"
    for folder in (run_dir, undisturbed):
        publish(folder, 1000)
    reading, failures = FORK.Lock(), FORK.Queue()
    reader = FORK.Process(target=read_forever, args=(run_dir, reading, failures))
    reader.start()
    try:
        for number in range(count):
            victim = FORK.Process(target=publish_forever, args=(run_dir,))
            victim.start()
            time.sleep(chance.uniform(0, 0.15))
            victim.kill()
            victim.join()
            where = f"seed {seed}, kill {number + 1}"
            with RunFolder(run_dir).hold():
                RunFolder(run_dir).restore_pointers()
                left = RunFolder(run_dir).clear_leftovers()
                found.update({describe_leftover(path) for path in left} or {"nothing"})
                for _ in range(2):
                    with reading:
                        RunFolder(run_dir).prune_versions(KEEP)
                    assert not list_strays(run_dir), f"{where}: {list_strays(run_dir)}"
                    publish(run_dir, 1000)
            assert hash_current(run_dir, ("prices",)) == hash_current(undisturbed, ("prices",)), where
            assert failures.empty(), f"{where}: {failures.get()}"
            assert reader.is_alive(), where
    finally:
        reader.kill()
        reader.join()
    return found


def describe_leftover(path: Path) -> str:
    if path.name.startswith(".draft"):
        return "a draft with a manifest" if (path / "manifest.json").exists() else "a draft"
    return "a pointer beside CURRENT" if path.name.startswith(".CURRENT") else "a version that never became current"


def kill_runs(count: int, seed: int, home: Path) -> None:
    """Kill `count` runs of run_all.py on 60 files, each followed by a plain run into the same folder.

    Raises AssertionError unless each plain run ends in the same bytes as an undisturbed one and leaves nothing over.
    """
    chance = random.Random(seed)
    corpus = make_corpus(home / "corpus")
    start = time.monotonic()
    assert run(home / "undisturbed", corpus).wait() == 0
    seconds = time.monotonic() - start
    expected = hash_run(home / "undisturbed")
    for number in range(count):
        run_dir = home / f"killed-{number}"
        delay = chance.uniform(0, seconds)
        where = f"seed {seed}, kill {number + 1} after {delay:.1f} of {seconds:.1f} s"
        victim = run(run_dir, corpus)
        try:
            time.sleep(delay)
            family = psutil.Process(victim.pid).children(recursive=True) if victim.poll() is None else []
        finally:
            victim.kill()
            victim.wait()
        assert run(run_dir, corpus).wait() == 0, where
        _, alive = psutil.wait_procs(family, timeout=20)
        assert not alive, f"{where}: {alive} outlived the killed run and the one after it"
        assert not list_survivors(run_dir), where
        assert hash_run(run_dir) == expected, where
        assert not list_strays(run_dir), f"{where}: {list_strays(run_dir)}"
        with RunFolder(run_dir).hold():  # no lock is left
            pass
        shutil.rmtree(run_dir)
        print(f"as expected: {where}", flush=True)


def make_corpus(folder: Path) -> Path:
    """60 symbols, cut from those that the project carries: each takes every ninth day of one."""
    (folder / "stocks").mkdir(parents=True)
    files = sorted(SAMPLE.glob("*/*.csv"))
    pieces = -(-SYMBOLS // len(files))
    names = ["NASDAQ Symbol,Security Name"]
    for number in range(SYMBOLS):
        path, piece = files[number % len(files)], number // len(files)
        header, *lines = path.read_text().splitlines()
        text = "\n".join([header, *lines[piece::pieces]]) + "\n"
        (folder / "stocks" / f"{path.stem}-{piece}.csv").write_text(text)
        names.append(f"{path.stem}-{piece},Piece {piece} of {path.stem}")
    (folder / METADATA).write_text("\n".join(names) + "\n")
    return folder


def run(run_dir: Path, corpus: Path, *arguments: str, **environment: str) -> subprocess.Popen:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SPARK_")}
    command = [sys.executable, "run_all.py", "--quiet", "--run-dir", str(run_dir), *FAST]
    command += ["-p", "SOURCE", "folder", "-p", "DATA_DIR", str(corpus), *arguments]
    return subprocess.Popen(command, cwd=ROOT, env=kept | environment, start_new_session=True)


def hash_run(run_dir: Path) -> dict[str, str]:
    """Checksums of every file of the current datasets, and of the model's answers; its metrics hold times."""
    found = hash_current(run_dir, ("prices", "symbols", "quarantine", "features"))
    return found | {"model.json": hash_file(RunFolder(run_dir).current("model").path / "model.json")}


def hash_current(run_dir: Path, datasets: tuple[str, ...]) -> dict[str, str]:
    folders = [RunFolder(run_dir).current(dataset).path for dataset in datasets]
    return {f"{one.parent.name}/{path.name}": hash_file(path) for one in folders for path in sorted(one.iterdir())}


def hash_file(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def list_strays(run_dir: Path) -> list[Path]:
    """Whatever is in a run folder that a plain run would not have left there."""
    known = {".lock", ".publish.lock"}
    strays = [path for path in run_dir.rglob(".*") if path.name not in known and path.suffix != ".crc"]
    strays += [*run_dir.glob("*/*-progress"), *run_dir.glob("runs/*/*.progress")]
    for pointer in run_dir.glob("*/CURRENT"):
        versions = [path for path in pointer.parent.iterdir() if path != pointer and not path.name.startswith(".")]
        strays += [path for path in versions if not (path / "manifest.json").exists()]
        strays += [*sorted(versions)[:-KEEP], *(path for path in versions if path.name > pointer.read_text().strip())]
        for path in versions:
            listed = {file["name"] for file in json.loads((path / "manifest.json").read_text())["files"]}
            strays += [file for file in path.iterdir() if file.name not in listed | {"manifest.json"}]
    return strays


def list_survivors(run_dir: Path) -> list[psutil.Process]:
    """The processes of a run folder that are still there 10 seconds after its run."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(FOLDER_VARIABLE) == str(run_dir):
                found.append(process)
        except psutil.Error:
            continue
    return psutil.wait_procs(found, timeout=10)[1]


def main() -> None:
    parser = argparse.ArgumentParser(description="SIGKILL at random instants, each time followed by plain work.")
    parser.add_argument("what", choices=("publish", "runs"))
    parser.add_argument("count", type=int, nargs="?", default=10)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="work in this folder and leave it")
    options = parser.parse_args()
    print(f"seed {options.seed}")
    with tempfile.TemporaryDirectory() as folder:
        home = (options.keep or Path(folder)).resolve()
        if options.what == "publish":
            found = kill_publishers(options.count, options.seed, home)
            print("left over, and cleared:", ", ".join(f"{kind} {times}" for kind, times in found.most_common()))
        else:
            kill_runs(options.count, options.seed, home)
    print(f"{options.count} kills, all as expected")


if __name__ == "__main__":
    main()
