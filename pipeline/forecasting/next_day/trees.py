"""XGBoost's trees of histograms, grown in little memory: rows go to it in pieces, without gaps."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.forecasting.threads import THREADS

if TYPE_CHECKING:
    from xgboost import DataIter

BINS = 64  # of a feature
SEED = 7
PIECE = 50_000  # rows
ENOUGH = 50_000  # rows, equally far apart: they tell where to cut a feature into bins as well as all do
UNKNOWN = np.float32(-1e30)  # below all values: where one is missing XGBoost keeps several times as much of each


def grow_trees(
    inputs: np.ndarray, target: np.ndarray, settings: dict[str, Any], rounds: int, eta: float
) -> Callable[[np.ndarray], np.ndarray]:
    """Trees that are the same on every machine. A task of Spark predicts with them as well.

    inputs: float32[n, k], NaN where unknown; target: float[n]. rounds: how many; eta: how far each goes.
    """
    import xgboost

    labels, step, bins = target.astype(np.float32), len(inputs) // ENOUGH, None
    if step > 1:
        some = cut_rows(inputs[::step], labels[::step])
        bins = xgboost.QuantileDMatrix(some, max_bin=BINS, nthread=THREADS)
    data = xgboost.QuantileDMatrix(cut_rows(inputs, labels), max_bin=BINS, nthread=THREADS, ref=bins)
    del bins
    every = {"tree_method": "hist", "max_bin": BINS, "nthread": THREADS, "seed": SEED, "eta": eta}
    booster = xgboost.train(every | settings, data, rounds)

    def predict(asked: np.ndarray) -> np.ndarray:
        pieces = [asked[start : start + PIECE] for start in range(0, max(1, len(asked)), PIECE)]
        return np.concatenate([booster.inplace_predict(fill_gaps(piece)) for piece in pieces]).astype(np.float64)

    return predict


def cut_rows(inputs: np.ndarray, labels: np.ndarray) -> "DataIter":
    """The rows of a matrix piece by piece, as XGBoost asks for them, several times from the start."""
    from xgboost import DataIter

    class Pieces(DataIter):
        start = 0

        def reset(self) -> None:
            self.start = 0

        def next(self, input_data: Callable[..., Any]) -> bool:
            piece = slice(self.start, self.start + PIECE)
            self.start += PIECE
            if piece.start >= len(labels):
                return False
            input_data(data=fill_gaps(inputs[piece]), label=labels[piece])
            return True

    return Pieces()


def fill_gaps(inputs: np.ndarray) -> np.ndarray:
    """The same with UNKNOWN where nothing is known. float32[n, k]."""
    return np.where(np.isnan(inputs), UNKNOWN, inputs)
