"""The model: an answer to two features and its 80% interval, from tables and coefficients.

Edges are in the features' own units, so that no logarithm is taken here: libraries differ in their last bit.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, overload

import numpy as np
import numpy.typing as npt

FEATURES = ("vol_moving_avg", "adj_close_rolling_med")

Array = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


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

    def look_up_all(self, volumes: Array, prices: Array) -> Array:
        """look_up for float64[n] each; the same doubles."""
        rows = np.searchsorted(self.volume_edges, volumes, side="right")
        columns = np.searchsorted(self.price_edges, prices, side="right")
        found: Array = self._array[rows, columns]
        return found

    @cached_property
    def _array(self) -> Array:
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
        if self.ratio:
            point = self.ratio.look_up(volume, price) * volume
        elif self.kind == "linear":
            point = self.intercept + self.coefficients[0] * volume + self.coefficients[1] * price
        else:
            point = self.scale * volume
        point = max(point, 0.0)
        low = min(self.low.look_up(volume, price) * volume, point)
        high = max(self.high.look_up(volume, price) * volume, point)
        return Answer(round(point), round(max(low, 0.0)), round(high), self.is_in_range(volume, price))

    def predict_all(self, volumes: Array, prices: Array) -> list[int]:
        """answer's volume for float64[n] each; the same integers."""
        return round_all(self._point_all(volumes, prices))

    def answer_all(self, volumes: Array, prices: Array) -> list[Answer]:
        """answer for float64[n] each; the same integers."""
        points = self._point_all(volumes, prices)
        lows = np.maximum(np.minimum(self.low.look_up_all(volumes, prices) * volumes, points), 0.0)
        highs = np.maximum(self.high.look_up_all(volumes, prices) * volumes, points)
        within = self.is_in_range(volumes, prices).tolist()
        whole = (round_all(values) for values in (points, lows, highs))
        return [Answer(*answer) for answer in zip(*whole, within, strict=True)]

    def _point_all(self, volumes: Array, prices: Array) -> Array:
        if self.ratio:
            points = self.ratio.look_up_all(volumes, prices) * volumes
        elif self.kind == "linear":
            points = self.intercept + self.coefficients[0] * volumes + self.coefficients[1] * prices
        else:
            points = self.scale * volumes
        return np.maximum(points, 0.0)

    @overload
    def is_in_range(self, volume: float, price: float) -> bool: ...
    @overload
    def is_in_range(self, volume: Array, price: Array) -> Flags: ...
    def is_in_range(self, volume: float | Array, price: float | Array) -> bool | Flags:
        """Whether training has seen values as small and as large. Numbers or arrays."""
        (low_volume, high_volume), (low_price, high_price) = (self.ranges[name] for name in FEATURES)
        return (low_volume <= volume) & (volume <= high_volume) & (low_price <= price) & (price <= high_price)


def round_all(values: Array) -> list[int]:
    """Python's integers, which have no largest value; NumPy's have."""
    return list(map(int, np.rint(values).tolist()))


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
    cells = np.array(values, dtype=np.float64)
    shape = cells.shape
    if not np.isfinite(cells).all():
        raise ValueError("a table with a cell that is no finite number")
    if shape != (len(volume_edges) + 1, len(price_edges) + 1):
        raise ValueError(f"a table of {shape} for {len(volume_edges)} and {len(price_edges)} edges")
    return Table(volume_edges, price_edges, [list(row) for row in values])
