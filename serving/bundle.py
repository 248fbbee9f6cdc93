"""The model bundle: a folder of JSON that training writes and the server reads. No pickle, no training library.

model.json     the answer (`point`) and its 80% interval, both as tables and coefficients over two features; optional:
               tables of quantiles and of the mean
golden.json    questions with their answers; a bundle that answers otherwise is refused
metrics.json   how the models of the comparison did
symbols.jsonl  optional: a line a symbol with its forecast for the next trading day
track_record.json, past_forecasts.jsonl  optional: how earlier forecasts did
manifest.json  written by the store: format, ranges of the features, checksums of all files, and a hash of all that
"""

import hashlib
import json
import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from serving.errors import BundleError, UnreadableError
from serving.forecasts import Forecasts, read_forecasts
from serving.model import Model, read_model
from serving.storage import RemoteRun, is_url
from serving.table import FEATURES
from serving.track_record import NOTHING, TrackRecord, read_track_record

FORMAT = 1
TRAIN_AGAIN = "train it again: python run_all.py --from train"
MANIFEST = "manifest.json"
TASKS = ("same_day", "next_day")
NEEDED = ("model.json", "golden.json", "metrics.json")


@dataclass(frozen=True)
class Bundle:
    """A loaded and checked model version."""

    path: Path
    manifest: Mapping[str, Any]
    model: Model
    metrics: Mapping[str, Any]  # metrics.json: how the champion and the others did on the test period
    forecasts: Forecasts | None  # None where training made no next-day model
    track_record: TrackRecord = NOTHING  # how earlier forecasts did

    @property
    def version(self) -> str:
        return str(self.manifest["version"])

    @property
    def champion(self) -> str:
        """Name of the model that won the comparison in training."""
        return str(self.manifest["model"]["champion"])


def write_bundle(
    folder: Path,
    point: Mapping[str, Any],
    interval: Mapping[str, Any],
    questions: Sequence[Mapping[str, float]],
    facts: Mapping[str, Any],
    spread: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Write model.json and golden.json, and return what goes into the manifest under `model`.

    point: {"kind": "naive", "scale"}, {"kind": "linear", "intercept", "coefficients"} or
    {"kind": "grid", "edges", "ratio"}. interval: {"edges", "low", "high"}. edges: feature -> inner edges.
    questions: rows with the two features, whose answers become the golden examples.
    facts: `ranges`, `trained`, `data_version`, `champion` and `interval` (the promised coverage).
    spread: {"quantiles": {"edges", "levels", "ratios": a table for each level}, "mean": {"edges", "ratios"}}.
    """
    content = {"format": FORMAT, "point": dict(point), "interval": dict(interval), **(spread or {})}
    model = read_model(content, facts["ranges"])
    golden = []
    for question in questions:
        answer = model.answer(*(question[name] for name in FEATURES))
        golden.append(
            {
                **{name: question[name] for name in FEATURES},
                "volume": answer.volume,
                "low": answer.low,
                "high": answer.high,
            }
        )
    (folder / "model.json").write_text(json.dumps(content) + "\n")
    (folder / "golden.json").write_text(json.dumps({"same_day": golden}, indent=1) + "\n")
    return {"format": FORMAT, "features": list(FEATURES), **facts}


def load_bundle(folder: Path | str) -> Bundle:
    """Load the current model of a run folder, which may be a URL, or a version's own folder. Raises what
    `load_version` raises.
    """
    if not is_url(folder):
        return load_version(find_version(Path(folder)))
    with tempfile.TemporaryDirectory(prefix="market-model-") as here:
        RemoteRun(str(folder), Path(here)).fetch()
        return load_version(find_version(Path(here)))


def load_version(path: Path) -> Bundle:
    """Load the version in a folder. Raises BundleError unless every check passes, UnreadableError if its files cannot
    be read.
    """
    try:
        manifest = read_manifest(path)
        check_files(path, manifest)
        model = read_model(json.loads((path / "model.json").read_text()), manifest["model"]["ranges"])
        golden = json.loads((path / "golden.json").read_text())["same_day"]
        check_golden(path, model, golden)
        metrics = json.loads((path / "metrics.json").read_text())
        check_metrics(metrics)
        forecasts = read_forecasts(path)
        track_record = read_track_record(path)
    except OSError as error:
        raise UnreadableError(f"{path} cannot be read as a model ({error}): {TRAIN_AGAIN}.") from error
    except BundleError:
        raise
    except Exception as error:  # whatever a file of unforeseen content leads to, deep nesting among it
        why = f"{type(error).__name__}: {str(error)[:200]}"
        raise BundleError(f"{path} is not a whole model bundle ({why}): {TRAIN_AGAIN}.") from error
    return Bundle(path, manifest, model, metrics, forecasts, track_record)


def find_version(folder: Path) -> Path:
    """The folder of a version: `folder` itself, or the one that its model/CURRENT names. Raises UnreadableError if
    there is no such name.
    """
    if (folder / MANIFEST).exists():
        return folder
    pointer = folder / "model" / "CURRENT"
    try:
        name = pointer.read_text(errors="replace").strip()
    except OSError:
        raise UnreadableError(
            f"There is no model in {folder}: run notebooks/03_train.ipynb, or python run_all.py, first."
        ) from None
    if Path(name).name != name:
        raise UnreadableError(f"{pointer} must hold the name of a folder beside it, not {name!r}.")
    return pointer.parent / name


def read_manifest(path: Path) -> dict[str, Any]:
    """The manifest, which vouches for itself: its `version` is the hash of all the rest of it. Raises BundleError."""
    manifest = json.loads((path / MANIFEST).read_text())
    rest = {name: value for name, value in manifest.items() if name != "version"}
    if manifest["version"] != hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()[:16]:
        raise BundleError(f"{path / MANIFEST} is not the file that was published (its hash differs): {TRAIN_AGAIN}.")
    facts = manifest["model"]
    if facts["format"] != FORMAT:
        raise BundleError(f"{path} is a bundle of format {facts['format']}; this program reads format {FORMAT}.")
    for name in FEATURES:
        low, high = facts["ranges"][name]
        if not -math.inf < low <= high < math.inf:
            raise ValueError(f"the range of {name} is {low} to {high}")
    first, last = facts["trained"]
    if not all(isinstance(value, str) and value for value in (facts["champion"], first, last)):
        raise ValueError("champion and trained must be text")
    return dict(manifest)


def check_files(path: Path, manifest: Mapping[str, Any]) -> None:
    listed = {file["name"]: file["sha256"] for file in manifest["files"]}
    for name in NEEDED:
        if name not in listed:
            raise BundleError(f"{path}: the manifest does not list {name}.")
    strange = {one.name for one in path.iterdir() if not one.name.startswith(".")} - {*listed, MANIFEST}
    if strange:
        raise BundleError(f"{path / min(strange)} is no part of what was published: remove it, or {TRAIN_AGAIN}.")
    for name, expected in listed.items():
        if Path(name).name != name or hashlib.sha256((path / name).read_bytes()).hexdigest() != expected:
            raise BundleError(
                f"{path / name} is not the file that was published (its checksum differs): {TRAIN_AGAIN}."
            )


def check_metrics(metrics: Mapping[str, Any]) -> None:
    """What the page shows must be there. Raises ValueError, or what a wrong type leads to."""
    for task in TASKS:
        facts = metrics.get(task)
        if facts is None:
            continue
        scores = [facts["models"][name]["mae"] for name in (facts["champion"], "naive") if name in facts["models"]]
        if not all(math.isfinite(mae) and mae >= 0 for mae in scores) or not isinstance(facts["test_from"], str):
            raise ValueError(f"the scores of {task} are not whole")


def check_golden(path: Path, model: Model, golden: Sequence[Mapping[str, Any]]) -> None:
    """Both ways of answering must give the golden answers to the last integer."""
    volumes, prices = (np.array([example[name] for example in golden], dtype=np.float64) for name in FEATURES)
    expected = [(example["volume"], example["low"], example["high"]) for example in golden]
    one_by_one = [model.answer(*question) for question in zip(volumes.tolist(), prices.tolist(), strict=True)]
    for answers in (one_by_one, model.answer_all(volumes, prices)):
        if [(answer.volume, answer.low, answer.high) for answer in answers] != expected:
            raise BundleError(f"{path} does not give its own golden answers with the code that serves: {TRAIN_AGAIN}.")
