"""The models of tomorrow's Volume: each forecasts how far it will lie from the symbol's own month, in logarithms."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pipeline.forecasting.evaluation import as_served
from pipeline.forecasting.next_day.features import FEATURES, NAMES
from pipeline.forecasting.next_day.habits import HABITS
from pipeline.forecasting.next_day.rows import NextDayRows
from pipeline.forecasting.next_day.trading_calendar import EFFECTS
from pipeline.forecasting.next_day.trees import BINS, SEED, grow_trees
from pipeline.forecasting.threads import limit_threads

PRICES = ("return", "size", "range", "price", "move", "close", "overnight")  # how such features' names begin
GROUPS = {
    "its last days": [name for name in FEATURES if name.startswith(("lag", "abnormal", "own", "fading"))],
    "its last weeks to its last year": [name for name in FEATURES if name.startswith(("mean", "spread", "zeros"))],
    "its weekdays and events": ["own_weekday", "own_event", "market_event"],
    "its reports and peaks": [
        name for name in (*FEATURES, *HABITS) if name.startswith(("report", "peak", "quarter", "year"))
    ],
    "prices": [name for name in FEATURES if name.startswith(PRICES)],
    "the market": [name for name in FEATURES if name.startswith("market")],
    "the calendar": [*EFFECTS, "gap"],
    "size and kind": ["base", "etf"],
}
CHUNK = 50_000  # rows
SLOPE = 0.5  # where the Huber loss turns from squares to sizes, in units of the symbol's own spread
USUAL_SPREAD = 0.6  # in logs of volume, what is added to a symbol's own: a quiet month is partly luck
MOST = 5.0  # standard deviations: a line would follow an odd value to any height
RIDGE = 1e-3  # keeps the least squares solvable where features are sums of each other
MANY = 100_000  # rows
FEW_TREES = 100, 0.12  # and how far each of them goes; for fewer rows than MANY, which carry no more
MANY_TREES = 400, 0.06
NAIVE = "naive"


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


def fit_next_day(name: str, rows: NextDayRows, device: str = "cpu", many: bool = False) -> NextDayModel:
    """Fit `linear`, `hist_gradient_boosting` or `xgboost`; `naive` learns nothing.

    device: "cpu" or "cuda", for XGBoost. many: whether it grows MANY_TREES.
    """
    if name == NAIVE:
        return NextDayModel(name, repeat_five_days, 0)
    if name == "linear":
        predict = fit_least_squares(rows.inputs, rows.logs)
    elif name == "xgboost":
        predict = boost_xgboost(rows.inputs, rows.logs, device, many)
    else:
        predict = boost_sklearn(rows.inputs, rows.logs)
    return NextDayModel(name, predict, len(rows))


def repeat_five_days(inputs: np.ndarray) -> np.ndarray:
    """The naive answer: the mean log volume of the last five days, so their geometric mean in shares."""
    return inputs[:, NAMES.index("mean_5")].astype(np.float64)


def fit_least_squares(inputs: np.ndarray, target: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Ridge regression on standardized features; an unknown value counts as the mean, a far one as MOST deviations.

    Doubles exist for CHUNK rows at once.
    """
    center, scale = measure_columns(inputs)

    def standardize(asked: np.ndarray) -> np.ndarray:
        columns = np.clip(np.nan_to_num((asked - center) / scale, nan=0.0), -MOST, MOST)
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


def boost_xgboost(
    inputs: np.ndarray, target: np.ndarray, device: str, many: bool
) -> Callable[[np.ndarray], np.ndarray]:
    """Trees under a Huber loss: a day with ten times the volume, which nobody foresees, must not steer the others."""
    settings = {"objective": "reg:pseudohubererror", "huber_slope": SLOPE, "device": device}
    settings |= {"max_depth": 6, "min_child_weight": 100, "colsample_bynode": 0.5}
    trees = grow_trees(inputs, target / measure_units(inputs), settings, *(MANY_TREES if many else FEW_TREES))
    return lambda asked: trees(asked) * measure_units(asked)


def measure_units(inputs: np.ndarray) -> np.ndarray:
    """What trees count in, float64[n]: the symbol's own spread of a month, lest the restless drown the calm."""
    units: np.ndarray = inputs[:, NAMES.index("spread")].astype(np.float64) + USUAL_SPREAD
    return units


def boost_sklearn(inputs: np.ndarray, target: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Trees by scikit-learn, from the features that are known anywhere: it cannot bin a column without a number."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    known = np.flatnonzero(~np.isnan(inputs).all(axis=0))
    trees = HistGradientBoostingRegressor(
        max_iter=150, learning_rate=0.06, max_depth=6, min_samples_leaf=50, max_bins=BINS, random_state=SEED
    )
    with limit_threads():
        trees.fit(inputs[:, known], target / measure_units(inputs))
    return lambda asked: np.asarray(trees.predict(asked[:, known]), np.float64) * measure_units(asked)


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
