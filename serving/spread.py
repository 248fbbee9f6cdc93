"""Around the answer: quantiles of what may come, and its mean, from tables that training has made."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from serving.table import Array, Table

LOWEST, HIGHEST = 0.05, 0.95  # levels that a bundle holds
MISSING = "This model holds none: train it again (python run_all.py --from train), and it will."


@dataclass(frozen=True)
class Wanted:
    """What somebody asks for beside the answer. levels: as it was written -> its number."""

    levels: Mapping[str, float] = field(default_factory=dict)
    mean: bool = False

    def __bool__(self) -> bool:
        return bool(self.levels) or self.mean

    def join(self, other: "Wanted") -> "Wanted":
        """What either asks for."""
        return Wanted({**self.levels, **other.levels}, self.mean or other.mean)

    @property
    def field(self) -> str:
        return "quantiles" if self.levels else "mean"


@dataclass(frozen=True)
class Spread:
    """Tables of multiples of vol_moving_avg: one for each of the rising levels, and one of means."""

    levels: Sequence[float]
    quantiles: Sequence[Table]
    mean: Table

    def describe(self, wanted: Wanted, volumes: Array, prices: Array) -> dict[str, object]:
        """{"quantiles": {"0.1": shares of each row}, "mean": shares of each row}, as far as wanted. float64[n] each."""
        told: dict[str, object] = {}
        if wanted.levels:
            told["quantiles"] = {
                name: to_shares(self.look_up_all(level, volumes, prices) * volumes)
                for name, level in wanted.levels.items()
            }
        if wanted.mean:
            told["mean"] = to_shares(self.mean.look_up_all(volumes, prices) * volumes)
        return told

    def describe_one(self, wanted: Wanted, volume: float, price: float) -> dict[str, object]:
        """The same for one row, without lists."""
        told = self.describe(wanted, np.array([volume]), np.array([price]))
        quantiles, mean = told.get("quantiles"), told.get("mean")
        if isinstance(quantiles, dict):
            told["quantiles"] = {name: values[0] for name, values in quantiles.items()}
        if isinstance(mean, list):
            told["mean"] = mean[0]
        return told

    def look_up_all(self, level: float, volumes: Array, prices: Array) -> Array:
        below, above, share = find_neighbours(self.levels, level)
        low, high = (self.quantiles[at].look_up_all(volumes, prices) for at in (below, above))
        return low + share * (high - low)


def to_shares(values: Array) -> list[int]:
    """Python's integers, which have no largest value; NumPy's have."""
    return list(map(int, np.rint(values).tolist()))


def find_neighbours(levels: Sequence[float], level: float) -> tuple[int, int, float]:
    """The places of the levels around a level, and how far it lies between them."""
    above = min(bisect_left(levels, level), len(levels) - 1)
    below = max(above - 1, 0)
    share = (level - levels[below]) / (levels[above] - levels[below]) if above > below else 0.0
    return below, above, min(share, 1.0)


def read_spread(content: Mapping[str, Any]) -> Spread | None:
    """From a bundle's model.json; None where training made none. Raises ValueError for tables that cannot be."""
    if "quantiles" not in content or "mean" not in content:
        return None
    quantiles, mean = content["quantiles"], content["mean"]
    levels, ratios = quantiles["levels"], np.array(quantiles["ratios"], dtype=np.float64)
    if not isinstance(levels, list) or len(levels) != len(ratios) or levels != sorted(set(levels)):
        raise ValueError("levels of quantiles must rise, with a table for each")
    if not levels[0] <= LOWEST or not levels[-1] >= HIGHEST or (np.diff(ratios, axis=0) < 0).any():
        raise ValueError(f"quantiles must go from {LOWEST} to {HIGHEST} and not fall")
    tables = [Table.read(quantiles["edges"], table) for table in ratios.tolist()]
    return Spread(levels, tables, Table.read(mean["edges"], mean["ratios"]))


def describe_forecast(entry: Mapping[str, object], wanted: Wanted) -> dict[str, object] | None:
    """The same from a symbol's line of the table of forecasts; None where that does not hold it."""
    told: dict[str, object] = {}
    known, mean = entry.get("quantiles"), entry.get("mean")
    if wanted.levels:
        if not isinstance(known, dict) or not known:
            return None
        levels, values = zip(*sorted((float(level), value) for level, value in known.items()), strict=True)
        shares: npt.NDArray[np.float64] = np.interp(list(wanted.levels.values()), levels, values)
        told["quantiles"] = dict(zip(wanted.levels, to_shares(shares), strict=True))
    if wanted.mean:
        if not isinstance(mean, int | float):
            return None
        told["mean"] = round(mean)
    return told
