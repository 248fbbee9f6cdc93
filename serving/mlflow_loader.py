"""The bundle as a model of MLflow, which loads it by this module's name and asks it with a DataFrame.

Nothing here imports MLflow or pandas: whoever calls has them.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from serving.bundle import load_version
from serving.model import Model
from serving.table import FEATURES, Array


class Predictor:
    """Predicts the Volume of days, in whole shares, from rows with the two features."""

    def __init__(self, model: Model) -> None:
        self.model = model

    def predict(self, rows: Mapping[str, npt.ArrayLike], params: object = None) -> Array:
        """rows: a DataFrame with the columns of FEATURES, or a mapping like it. Returns float64[n]."""
        volumes, prices = (np.asarray(rows[name], dtype=np.float64) for name in FEATURES)
        return np.array(self.model.predict_all(volumes, prices), dtype=np.float64)


def _load_pyfunc(path: str) -> Predictor:
    """Called by MLflow with the folder of the bundle. Raises BundleError unless the bundle is whole."""
    return Predictor(load_version(Path(path)).model)
