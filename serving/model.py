"""The model: an answer to two features and its 80% interval, from tables and coefficients.

Edges are in the features' own units, so that no logarithm is taken here: libraries differ in their last bit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from serving.spread import Spread, read_spread, to_shares
from serving.table import FEATURES, Array, Table

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Answer:
    """A predicted Volume in shares, the bounds of its interval, and whether training has seen such features."""

    volume: int
    low: int
    high: int
    in_range: bool


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
    spread: Spread | None = None

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
        return to_shares(self._point_all(volumes, prices))

    def answer_all(self, volumes: Array, prices: Array) -> list[Answer]:
        """answer for float64[n] each; the same integers."""
        points = self._point_all(volumes, prices)
        lows = np.maximum(np.minimum(self.low.look_up_all(volumes, prices) * volumes, points), 0.0)
        highs = np.maximum(self.high.look_up_all(volumes, prices) * volumes, points)
        within = self.is_in_range(volumes, prices).tolist()
        whole = (to_shares(values) for values in (points, lows, highs))
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


def read_model(content: Mapping[str, Any], ranges: Mapping[str, Sequence[float]]) -> Model:
    point, interval = content["point"], content["interval"]
    if point["kind"] not in ("naive", "linear", "grid"):
        raise ValueError(f"{point['kind']!r} is no kind of model")
    return Model(
        point["kind"],
        point.get("scale", 1.0),
        point.get("intercept", 0.0),
        tuple(point.get("coefficients", (0.0, 0.0))),
        Table.read(point["edges"], point["ratio"]) if point["kind"] == "grid" else None,
        Table.read(interval["edges"], interval["low"]),
        Table.read(interval["edges"], interval["high"]),
        ranges,
        read_spread(content),
    )
