"""The model bundle: a folder of JSON that training writes and the server reads. No pickle, no training library.

model.json     the answer (`point`) and its 80% interval, both as tables and coefficients over two features
golden.json    questions with their answers; a bundle that answers otherwise is refused
metrics.json   how the models of the comparison did
symbols.jsonl  optional: a line a symbol with its forecast for the next trading day
manifest.json  written by the store: format, ranges of the features, checksums of all files

Edges are in the features' own units, so that no logarithm is taken here: libraries differ in their last bit.
"""

import hashlib
import json
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from serving.errors import BundleError, UnreadableError
from serving.forecasts import Forecasts, read_forecasts

FORMAT = 1
TRAIN_AGAIN = "train it again: python run_all.py --from train"
FEATURES = ("vol_moving_avg", "adj_close_rolling_med")


@dataclass(frozen=True)
class Answer:
    """A predicted Volume in shares, the bounds of its interval, and whether training has seen such features."""

    volume: int
    low: int
    high: int
    in_range: bool


@dataclass(frozen=True)
class Table:
    """A value for each cell of a grid over the two features.

    k inner edges make k + 1 cells; an edge belongs to the upper cell.
    """

    volume_edges: Sequence[float]
    price_edges: Sequence[float]
    values: Sequence[Sequence[float]]  # [cell of vol_moving_avg][cell of adj_close_rolling_med]

    def look_up(self, volume: float, price: float) -> float:
        return self.values[bisect_right(self.volume_edges, volume)][bisect_right(self.price_edges, price)]

    def look_up_all(self, volumes: np.ndarray, prices: np.ndarray) -> np.ndarray:
        """look_up for float64[n] each; the same doubles."""
        rows = np.searchsorted(self.volume_edges, volumes, side="right")
        columns = np.searchsorted(self.price_edges, prices, side="right")
        return self._array[rows, columns]

    @cached_property
    def _array(self) -> np.ndarray:
        return np.array(self.values, dtype=np.float64)


@dataclass(frozen=True)
class Model:
    """The part of a bundle that answers from the two features."""

    kind: str  # "naive", "linear" or "grid"
    scale: float  # naive: the answer is scale * vol_moving_avg
    intercept: float  # linear: the answer is intercept + coefficients . features
    coefficients: tuple[float, float]
    ratio: Table | None  # grid: the answer is the cell's ratio * vol_moving_avg
    low: Table  # bounds of the interval, as multiples of vol_moving_avg
    high: Table
    ranges: Mapping[str, Sequence[float]]  # feature -> smallest and largest value in training

    def answer(self, volume: float, price: float) -> Answer:
        """The answer to one question. volume: vol_moving_avg in shares, not negative; price: adj_close_rolling_med."""
        if self.kind == "grid":
            point = self.ratio.look_up(volume, price) * volume
        elif self.kind == "linear":
            point = self.intercept + self.coefficients[0] * volume + self.coefficients[1] * price
        else:
            point = self.scale * volume
        point = max(point, 0.0)
        low = min(self.low.look_up(volume, price) * volume, point)
        high = max(self.high.look_up(volume, price) * volume, point)
        return Answer(round(point), round(max(low, 0.0)), round(high), self.is_in_range(volume, price))

    def answer_all(self, volumes: np.ndarray, prices: np.ndarray) -> list[Answer]:
        """answer for float64[n] each; the same integers."""
        if self.kind == "grid":
            points = self.ratio.look_up_all(volumes, prices) * volumes
        elif self.kind == "linear":
            points = self.intercept + self.coefficients[0] * volumes + self.coefficients[1] * prices
        else:
            points = self.scale * volumes
        points = np.maximum(points, 0.0)
        lows = np.maximum(np.minimum(self.low.look_up_all(volumes, prices) * volumes, points), 0.0)
        highs = np.maximum(self.high.look_up_all(volumes, prices) * volumes, points)
        # Python's integers have no largest value; NumPy's have.
        whole = [map(int, np.rint(values).tolist()) for values in (points, lows, highs)]
        within = self.is_in_range(volumes, prices).tolist()
        return [Answer(*answer) for answer in zip(*whole, within, strict=True)]

    def is_in_range(self, volume, price):
        """Whether training has seen values as small and as large. Numbers or arrays."""
        (low_volume, high_volume), (low_price, high_price) = (self.ranges[name] for name in FEATURES)
        return (low_volume <= volume) & (volume <= high_volume) & (low_price <= price) & (price <= high_price)


@dataclass(frozen=True)
class Bundle:
    """A loaded and checked model version."""

    path: Path
    manifest: Mapping[str, Any]
    model: Model
    metrics: Mapping[str, Any]  # metrics.json: how the champion and the others did on the test period
    forecasts: Forecasts | None  # None where training made no next-day model

    @property
    def version(self) -> str:
        return self.manifest["version"]

    @property
    def champion(self) -> str:
        """Name of the model that won the comparison in training."""
        return self.manifest["model"]["champion"]


def write_bundle(
    folder: Path, point: Mapping[str, Any], interval: Mapping[str, Any], questions: Sequence[Mapping], facts: Mapping
) -> dict:
    """Write model.json and golden.json, and return what goes into the manifest under `model`.

    point: {"kind": "naive", "scale"}, {"kind": "linear", "intercept", "coefficients"} or
    {"kind": "grid", "edges", "ratio"}. interval: {"edges", "low", "high"}. edges: feature -> inner edges.
    questions: rows with the two features, whose answers become the golden examples.
    facts: `ranges`, `trained`, `data_version`, `champion` and `interval` (the promised coverage).
    """
    content = {"format": FORMAT, "point": dict(point), "interval": dict(interval)}
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
    """Load the current model of a run folder, or a version's own folder. Raises what `load_version` raises."""
    return load_version(find_version(Path(folder)))


def load_version(path: Path) -> Bundle:
    """Load the version in a folder. Raises BundleError unless every check passes, UnreadableError if its files cannot
    be read.
    """
    try:
        manifest = json.loads((path / "manifest.json").read_text())
        check_files(path, manifest)
        if manifest["model"]["format"] != FORMAT:
            raise BundleError(
                f"{path} is a bundle of format {manifest['model']['format']}; this program reads format {FORMAT}."
            )
        model = read_model(json.loads((path / "model.json").read_text()), manifest["model"]["ranges"])
        golden = json.loads((path / "golden.json").read_text())["same_day"]
        check_golden(path, model, golden)
        metrics = json.loads((path / "metrics.json").read_text())
        forecasts = read_forecasts(path)
    except OSError as error:
        raise UnreadableError(f"{path} cannot be read as a model ({error}): {TRAIN_AGAIN}.") from error
    except (ValueError, KeyError, TypeError, IndexError, OverflowError) as error:
        raise BundleError(
            f"{path} is not a whole model bundle ({type(error).__name__}: {error}): {TRAIN_AGAIN}."
        ) from error
    return Bundle(path, manifest, model, metrics, forecasts)


def find_version(folder: Path) -> Path:
    """The folder of a version: `folder` itself, or the one that its model/CURRENT names. Raises UnreadableError if
    there is no such name.
    """
    if (folder / "manifest.json").exists():
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


def read_model(content: Mapping[str, Any], ranges: Mapping[str, Sequence[float]]) -> Model:
    point, interval = content["point"], content["interval"]
    if point["kind"] not in ("naive", "linear", "grid"):
        raise ValueError(f"{point['kind']!r} is no kind of model")
    return Model(
        point["kind"],
        point.get("scale", 1.0),
        point.get("intercept", 0.0),
        tuple(point.get("coefficients", (0.0, 0.0))),
        read_table(point["edges"], point["ratio"]) if point["kind"] == "grid" else None,
        read_table(interval["edges"], interval["low"]),
        read_table(interval["edges"], interval["high"]),
        ranges,
    )


def read_table(edges: Mapping[str, Sequence[float]], values: Sequence[Sequence[float]]) -> Table:
    volume_edges, price_edges = (list(edges[name]) for name in FEATURES)
    shape = np.array(values, dtype=np.float64).shape
    if shape != (len(volume_edges) + 1, len(price_edges) + 1):
        raise ValueError(f"a table of {shape} for {len(volume_edges)} and {len(price_edges)} edges")
    return Table(volume_edges, price_edges, [list(row) for row in values])


def check_files(path: Path, manifest: Mapping[str, Any]) -> None:
    listed = {file["name"]: file["sha256"] for file in manifest["files"]}
    for name in ("model.json", "golden.json"):
        if name not in listed:
            raise BundleError(f"{path}: the manifest does not list {name}.")
    for name, expected in listed.items():
        if Path(name).name != name or hashlib.sha256((path / name).read_bytes()).hexdigest() != expected:
            raise BundleError(
                f"{path / name} is not the file that was published (its checksum differs): {TRAIN_AGAIN}."
            )


def check_golden(path: Path, model: Model, golden: Sequence[Mapping[str, Any]]) -> None:
    """Both ways of answering must give the golden answers to the last integer."""
    volumes, prices = (np.array([example[name] for example in golden], dtype=np.float64) for name in FEATURES)
    expected = [(example["volume"], example["low"], example["high"]) for example in golden]
    one_by_one = [model.answer(*question) for question in zip(volumes.tolist(), prices.tolist(), strict=True)]
    for answers in (one_by_one, model.answer_all(volumes, prices)):
        if [(answer.volume, answer.low, answer.high) for answer in answers] != expected:
            raise BundleError(f"{path} does not give its own golden answers with the code that serves: {TRAIN_AGAIN}.")
