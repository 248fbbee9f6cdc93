"""Whether a stage has to run: its fingerprint now against the one of what it published last.

A fingerprint covers what the stage's output depends on: the notebook's code, the modules behind it, the parameters,
the versions of what it reads and the libraries that compute. Text, stored outputs and times of files are not in it.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import nbformat

from pipeline.datasets.store import current_version, hash_code, write_atomically
from pipeline.errors import InputError
from pipeline.ingest.source import Source, open_source
from pipeline.libraries import read_libraries
from pipeline.runs.plan import NOTEBOOKS, Step

STATE = "stages.json"
ABSENT = "absent"
# Where the work is done and where its results lie do not change them.
PLACES = ("RUN_DIR", "SPARK_MASTER", "DATA_DIR")
SERVING = NOTEBOOKS.parent / "serving"


def read_state(run_dir: Path) -> dict[str, Any]:
    """What is known of the last successful run of each stage; nothing if the file is absent or unreadable."""
    try:
        return json.loads((run_dir / STATE).read_text())
    except (OSError, ValueError):
        return {}


def record_stage(
    run_dir: Path, step: Step, inputs: dict[str, str], parts: dict[str, str], stamp: str | None, run: str
) -> None:
    """Remember that a stage has just been done: by which run, with which inputs, and what became current.

    parts: what list_parts gave before the stage began: a file may have been saved while it ran.
    """
    if stamp is not None:  # raw files: what counts is what was read
        inputs = current_version(run_dir, step.stage.writes[0]).manifest["inputs"]
        parts = parts | {"input": hash_json(inputs)}
    state = read_state(run_dir)
    state[step.stage.name] = {
        "inputs": inputs,
        "parts": parts,
        "outputs": read_pointers(run_dir, step.stage.writes),
        "source_stamp": stamp,
        "run": run,
    }
    write_atomically(run_dir / STATE, json.dumps(state, indent=1) + "\n")


def note_stamp(run_dir: Path, step: Step, stamp: str | None) -> None:
    """Remember new times of raw files whose content is what it was, so that they need not be read the next time."""
    state = read_state(run_dir)
    if state[step.stage.name]["source_stamp"] != stamp:
        state[step.stage.name]["source_stamp"] = stamp
        write_atomically(run_dir / STATE, json.dumps(state, indent=1) + "\n")


def find_run(run_dir: Path, step: Step) -> str | None:
    """The name of the run that did a stage last."""
    return read_state(run_dir).get(step.stage.name, {}).get("run")


def explain(run_dir: Path, step: Step, inputs: dict[str, str]) -> str | None:
    """Why the stage has to run, in a few words; None if its current output is what it would make again."""
    if not step.stage.writes:
        return "always runs"
    if step.asked_for:
        return "asked for"
    last = read_state(run_dir).get(step.stage.name)
    if last is None:
        return "not run yet"
    outputs = read_pointers(run_dir, step.stage.writes)
    if last["outputs"] != outputs:
        return "its output is gone" if ABSENT in outputs.values() else "its output was exchanged"
    changed = [what for what, value in list_parts(step, inputs).items() if last["parts"].get(what) != value]
    return f"changed: {', '.join(changed)}" if changed else None


def list_parts(step: Step, inputs: dict[str, str]) -> dict[str, str]:
    """The stage's fingerprint: a hash of each kind of thing that its output depends on."""
    parameters = {name: value for name, value in step.parameters.items() if name not in PLACES}
    parts = {
        "notebook": hash_notebook(step.notebook),
        "code": hash_code(),
        "parameters": hash_json(parameters),
        "input": hash_json(inputs),
        "libraries": hash_json(read_libraries()),
    }
    if "model" in step.stage.writes:
        parts["serving"] = hash_json({path.name: path.read_text() for path in sorted(SERVING.glob("*.py"))})
    return parts


def find_inputs(run_dir: Path, step: Step, source: Source | None) -> tuple[dict[str, str], str | None]:
    """Ids of the versions that a stage would read now, and the stamp of the raw files for the stage that reads those.

    Hashing gigabytes of raw files takes seconds, so their content is looked at only where a name, a size or a time is
    another than at the last run, and not at all before the first.
    """
    if source is None:
        return {name: read_version_id(run_dir, name) for name in step.stage.reads}, None
    stamp = hash_json([str(source.root), source.stat_fingerprint])
    last = read_state(run_dir).get(step.stage.name)
    if last is None:
        return {"source": "unread"}, stamp
    same = last["source_stamp"] == stamp
    return {"source": last["inputs"]["source"] if same else source.content_fingerprint}, stamp


def open_step_source(step: Step) -> Source | None:
    """The raw files of the stage that reads some. Raises InputError, as its notebook would."""
    if "SOURCE" not in step.parameters:
        return None
    return open_source(step.parameters["SOURCE"], step.parameters["DATA_DIR"])


def read_version_id(run_dir: Path, dataset: str) -> str:
    try:
        return current_version(run_dir, dataset).id
    except InputError:
        return ABSENT


def read_pointers(run_dir: Path, datasets: tuple[str, ...]) -> dict[str, str]:
    """The name of each dataset's current version."""
    return {dataset: read_pointer(run_dir, dataset) for dataset in datasets}


def read_pointer(run_dir: Path, dataset: str) -> str:
    try:
        return current_version(run_dir, dataset).path.name
    except InputError:
        return ABSENT


def hash_notebook(path: Path) -> str:
    cells = nbformat.read(path, as_version=4).cells
    return hash_json([cell.source for cell in cells if cell.cell_type == "code"])


def hash_json(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
