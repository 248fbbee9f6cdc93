"""Whether a stage has to run: its fingerprint now against the one of what it published last.

A fingerprint covers what the stage's output depends on: the notebook's code, the modules behind it, the parameters,
the versions of what it reads and the libraries that compute. Text, stored outputs and times of files are not in it.
"""

import hashlib
import json
from pathlib import Path
from typing import Any, TypedDict

import nbformat

from pipeline.datasets.files import hash_code
from pipeline.datasets.run_folder import RunFolder
from pipeline.errors import InputError
from pipeline.ingest.source import Source, open_source
from pipeline.libraries import read_libraries
from pipeline.runs.plan import NOTEBOOKS, Step

STATE = "stages.json"
ABSENT = "absent"
# Where the work is done, where its results lie and how the raw files came there do not change them.
NOT_COUNTED = ("RUN_DIR", "SPARK_MASTER", "DATA_DIR", "UPDATE", "SYMBOLS")
SERVING = NOTEBOOKS.parent / "serving"


class Done(TypedDict):
    """What is known of the last successful run of a stage."""

    inputs: dict[str, str]
    parts: dict[str, str]
    outputs: dict[str, str]
    source_stamp: str | None
    run: str


def read_state(run: RunFolder) -> dict[str, Done]:
    """What is known of each stage that was done; nothing before the first run. Raises InputError where the record is
    damaged.
    """
    state = run.read_record(STATE) or {}
    if all(isinstance(stage, dict) and stage.keys() == Done.__required_keys__ for stage in state.values()):
        return state
    raise InputError(f"{run.path / STATE} is no record of stages: remove it and run again.")


def record_stage(
    run: RunFolder, step: Step, inputs: dict[str, str], parts: dict[str, str], stamp: str | None, by: str
) -> None:
    """Remember that a stage has just been done: by which run, with which inputs, and what became current.

    by: the name of the run. parts: what list_parts gave before the stage began, as a file may have been saved since.
    """
    if step.reads_raw_files:  # what counts is what was read
        inputs = run.current(step.stage.writes[0]).manifest["inputs"]
        parts = parts | {"input": hash_json(inputs)}
    state = read_state(run)
    state[step.stage.name] = {
        "inputs": inputs,
        "parts": parts,
        "outputs": read_pointers(run, step.stage.writes),
        "source_stamp": stamp,
        "run": by,
    }
    run.write_record(STATE, state)


def note_stamp(run: RunFolder, step: Step, stamp: str | None) -> None:
    """Remember new times of raw files whose content is what it was, so that they need not be read the next time."""
    state = read_state(run)
    if state[step.stage.name]["source_stamp"] != stamp:
        state[step.stage.name]["source_stamp"] = stamp
        run.write_record(STATE, state)


def find_run(run: RunFolder, step: Step) -> str | None:
    """The name of the run that did a stage last."""
    last = read_state(run).get(step.stage.name)
    return last and last["run"]


def explain(run: RunFolder, step: Step, inputs: dict[str, str]) -> str | None:
    """Why the stage has to run, in a few words; None if its current output is what it would make again."""
    if not step.stage.writes:
        return "always runs"
    if step.asked_for:
        return "asked for"
    if step.brings_files:
        return "looks for new prices"
    last = read_state(run).get(step.stage.name)
    if last is None:
        return "not run yet"
    outputs = read_pointers(run, step.stage.writes)
    if last["outputs"] != outputs:
        return "its output is gone" if ABSENT in outputs.values() else "its output was exchanged"
    changed = [what for what, value in list_parts(step, inputs).items() if last["parts"].get(what) != value]
    return f"changed: {', '.join(changed)}" if changed else None


def list_parts(step: Step, inputs: dict[str, str]) -> dict[str, str]:
    """The stage's fingerprint: a hash of each kind of thing that its output depends on."""
    parameters = {name: value for name, value in step.parameters.items() if name not in NOT_COUNTED}
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


def find_inputs(run: RunFolder, step: Step, source: Source | None) -> tuple[dict[str, str], str | None]:
    """Ids of the versions that a stage would read now, and the stamp of the raw files for the stage that reads those.

    Hashing gigabytes of raw files takes seconds, so their content is looked at only where a name, a size or a time is
    another than at the last run, and not at all before the first.
    """
    if source is None:
        return {name: read_version_id(run, name) for name in step.stage.reads}, None
    stamp = hash_json([str(source.root), source.stat_fingerprint])
    last = read_state(run).get(step.stage.name)
    if last is None:
        return {"source": "unread"}, stamp
    same = last["source_stamp"] == stamp
    return {"source": last["inputs"]["source"] if same else source.content_fingerprint}, stamp


def open_step_source(step: Step) -> Source | None:
    """The raw files of the stage that reads some; None if it is to bring them first. Raises InputError, as its notebook
    would.
    """
    if not step.reads_raw_files or step.brings_files:
        return None
    return open_source(step.parameters["SOURCE"], step.parameters["DATA_DIR"])


def read_version_id(run: RunFolder, dataset: str) -> str:
    version = run.find(dataset)
    return version.id if version else ABSENT


def read_pointers(run: RunFolder, datasets: tuple[str, ...]) -> dict[str, str]:
    """The name of each dataset's current version."""
    versions = {dataset: run.find(dataset) for dataset in datasets}
    return {dataset: version.path.name if version else ABSENT for dataset, version in versions.items()}


def hash_notebook(path: Path) -> str:
    cells = nbformat.read(path, as_version=4).cells
    return hash_json([cell.source for cell in cells if cell.cell_type == "code"])


def hash_json(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
