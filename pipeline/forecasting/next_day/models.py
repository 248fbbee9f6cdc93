"""The models of tomorrow's Volume: each forecasts how far it will lie from the symbol's own month, in logarithms."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pipeline.forecasting.evaluation import as_served
from pipeline.forecasting.next_day.features import FEATURES, NAMES
from pipeline.forecasting.next_day.rows import NextDayRows
from pipeline.forecasting.next_day.trading_calendar import EFFECTS
from pipeline.forecasting.threads import THREADS, limit_threads

GROUPS = {
    "its last days": [name for name in FEATURES if name.startswith(("lag", "abnormal", "own", "fading"))],
    "its last weeks to its last year": [name for name in FEATURES if name.startswith(("mean", "spread", "zeros"))],
    "a quarter and a year ago": ["quarter_ago", "year_ago"],
    "prices": ["return", "size_of_return", "range", "range_change", "price"],
    "the market": [name for name in FEATURES if name.startswith("market")],
    "the calendar": [*EFFECTS, "gap"],
    "size and kind": ["base", "etf"],
}
SEED = 7
CHUNK = 50_000  # rows
RIDGE = 1e-3  # keeps the least squares solvable where features are sums of each other


@dataclass(frozen=True)
class NextDayModel:
    """predict: float32[n, len(NAMES)] to the forecast log(1 + V) less `base`, float64[n]."""

    name: str
    predict: Callable[[np.ndarray], np.ndarray]
    train_rows: int

    def forecast(self, inputs: np.ndarray) -> np.ndarray:
        """Tomorrow's Volume in shares. float32[n, len(NAMES)] to float64[n]."""
        volume: np.ndarray = np.maximum(np.expm1(inputs[:, NAMES.index("base")] + self.predict(inputs)), 0.0)
        return volume


def fit_next_day(name: str, rows: NextDayRows, device: str = "cpu") -> NextDayModel:
    """Fit `linear`, `hist_gradient_boosting` or `xgboost`. device: "cpu" or "cuda", for XGBoost."""
    target = np.log1p(rows.target) - rows.inputs[:, NAMES.index("base")]
    if name == "linear":
        predict = fit_least_squares(rows.inputs, target)
    elif name == "xgboost":
        predict = boost_xgboost(rows.inputs, target.astype(np.float32), device)
    else:
        predict = boost_sklearn(rows.inputs, target)
    return NextDayModel(name, predict, len(rows))


def fit_least_squares(inputs: np.ndarray, target: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Ridge regression on standardized features; an unknown value counts as the mean. Doubles exist for CHUNK rows at
    once.
    """
    center, scale = measure_columns(inputs)

    def standardize(asked: np.ndarray) -> np.ndarray:
        columns = np.nan_to_num((asked - center) / scale, nan=0.0)
        return np.column_stack([columns, np.ones(len(asked))])

    size = inputs.shape[1] + 1
    squares, products = RIDGE * len(inputs) * np.eye(size), np.zeros(size)
    for start in range(0, len(inputs), CHUNK):
        table = standardize(inputs[start : start + CHUNK])
        squares += table.T @ table
        products += table.T @ target[start : start + CHUNK]
    weights = np.linalg.solve(squares, products)

    def predict(asked: np.ndarray) -> np.ndarray:
        chunks = [asked[start : start + CHUNK] for start in range(0, len(asked), CHUNK)]
        return np.concatenate([standardize(chunk) @ weights for chunk in chunks])

    return predict


def measure_columns(inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each column's known values; 1 for the deviation of a constant. float64[k] each."""
    count, total, square = (np.zeros(inputs.shape[1]) for _ in range(3))
    for start in range(0, len(inputs), CHUNK):
        chunk = inputs[start : start + CHUNK].astype(np.float64)
        count += (~np.isnan(chunk)).sum(axis=0)
        total += np.nansum(chunk, axis=0)
        square += np.nansum(chunk**2, axis=0)
    center = total / np.maximum(count, 1)
    scale = np.sqrt(np.maximum(square / np.maximum(count, 1) - center**2, 0.0))
    return center, np.where(scale > 1e-9, scale, 1.0)


def boost_xgboost(inputs: np.ndarray, target: np.ndarray, device: str) -> Callable[[np.ndarray], np.ndarray]:
    """Trees under a Huber loss: a day with ten times the volume, which nobody foresees, must not steer the others."""
    import xgboost

    settings = {"tree_method": "hist", "objective": "reg:pseudohubererror", "huber_slope": 0.5, "device": device}
    settings |= {"max_depth": 6, "eta": 0.06, "min_child_weight": 100, "colsample_bynode": 0.5, "max_bin": 64}
    data = xgboost.QuantileDMatrix(inputs, target, max_bin=64, nthread=THREADS)
    rounds = 400 if len(inputs) > 100_000 else 100  # fewer rows carry fewer trees
    booster = xgboost.train({**settings, "nthread": THREADS, "seed": SEED}, data, rounds)
    return lambda asked: np.asarray(booster.inplace_predict(asked), np.float64)


def boost_sklearn(inputs: np.ndarray, target: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    from sklearn.ensemble import HistGradientBoostingRegressor

    trees = HistGradientBoostingRegressor(
        max_iter=150, learning_rate=0.06, max_depth=6, min_samples_leaf=50, max_bins=64, random_state=SEED
    )
    with limit_threads():
        trees.fit(inputs, target)
    return lambda asked: np.asarray(trees.predict(asked), np.float64)


def measure_groups(model: NextDayModel, rows: NextDayRows) -> dict[str, float]:
    """By which share the MAE grows when a group of features is shuffled between rows, so that it tells nothing.

    All 0 for a model without an error, as where the Volume never changes: it has no share to grow by.
    """
    mae = np.abs(as_served(model.forecast(rows.inputs)) - rows.target).mean()
    order = np.random.default_rng(SEED).permutation(len(rows))
    growth = {}
    for group, names in GROUPS.items():
        shuffled = rows.inputs.copy()
        columns = np.array([NAMES.index(name) for name in names])
        shuffled[:, columns] = shuffled[np.ix_(order, columns)]
        worse = np.abs(as_served(model.forecast(shuffled)) - rows.target).mean()
        growth[group] = float(worse / mae - 1) if mae else 0.0
    return growth
