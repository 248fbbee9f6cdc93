"""XGBoost's trees of histograms, grown in little memory: rows go to it in pieces, without gaps."""

from collections.abc import Callable
from typing import Any

import numpy as np
import xgboost

from pipeline.forecasting.next_day.models import BINS, SEED
from pipeline.forecasting.threads import THREADS

PIECE = 50_000  # rows
ENOUGH = 50_000  # rows, equally far apart: they tell where to cut a feature into bins as well as all do
UNKNOWN = np.float32(-1e30)  # below all values: where one is missing XGBoost keeps several times as much of each


class Pieces(xgboost.DataIter):
    """The rows of a matrix, piece by piece, as XGBoost asks for them, twice or more."""

    def __init__(self, inputs: np.ndarray, target: np.ndarray) -> None:
        self.inputs, self.target, self.start = inputs, target, 0
        super().__init__()

    def reset(self) -> None:
        """Begin again."""
        self.start = 0

    def next(self, input_data: Callable[..., Any]) -> bool:
        """Hand over the next piece. Returns whether there was one."""
        piece = slice(self.start, self.start + PIECE)
        self.start += PIECE
        if piece.start >= len(self.target):
            return False
        input_data(data=fill_gaps(self.inputs[piece]), label=self.target[piece])
        return True


def fill_gaps(inputs: np.ndarray) -> np.ndarray:
    """The same with UNKNOWN where nothing is known. float32[n, k]."""
    return np.where(np.isnan(inputs), UNKNOWN, inputs)


def grow_trees(
    inputs: np.ndarray, target: np.ndarray, settings: dict[str, Any], rounds: int
) -> Callable[[np.ndarray], np.ndarray]:
    """Trees that are the same on every machine. A task of Spark predicts with them as well.

    inputs: float32[n, k], NaN where unknown; target: float[n].
    """
    labels, step, bins = target.astype(np.float32), len(inputs) // ENOUGH, None
    if step > 1:
        bins = xgboost.QuantileDMatrix(Pieces(inputs[::step], labels[::step]), max_bin=BINS, nthread=THREADS)
    data = xgboost.QuantileDMatrix(Pieces(inputs, labels), max_bin=BINS, nthread=THREADS, ref=bins)
    del bins
    every = {"tree_method": "hist", "max_bin": BINS, "nthread": THREADS, "seed": SEED}
    booster = xgboost.train(every | settings, data, rounds)

    def predict(asked: np.ndarray) -> np.ndarray:
        pieces = [asked[start : start + PIECE] for start in range(0, max(1, len(asked)), PIECE)]
        return np.concatenate([booster.inplace_predict(fill_gaps(piece)) for piece in pieces]).astype(np.float64)

    return predict
