"""A table over the two features: how a bundle holds what depends on both."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

FEATURES = ("vol_moving_avg", "adj_close_rolling_med")

Array = npt.NDArray[np.float64]


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

    @classmethod
    def read(cls, edges: Mapping[str, Sequence[float]], values: Sequence[Sequence[float]]) -> "Table":
        """edges: feature -> inner edges. Raises ValueError for a table that does not fit them or holds no numbers."""
        volume_edges, price_edges = (list(edges[name]) for name in FEATURES)
        cells = np.array(values, dtype=np.float64)
        shape = cells.shape
        if not np.isfinite(cells).all():
            raise ValueError("a table with a cell that is no finite number")
        if shape != (len(volume_edges) + 1, len(price_edges) + 1):
            raise ValueError(f"a table of {shape} for {len(volume_edges)} and {len(price_edges)} edges")
        return cls(volume_edges, price_edges, [list(row) for row in values])
