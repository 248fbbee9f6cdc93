"""How sure a forecast of tomorrow is: the whole distribution around it, calibrated on days that nobody learned from.

Split conformal prediction in three forms. What lies between a forecast and the day that came is measured in units of
`scale`, and the quantiles of these numbers over the calibration, class by class of size, are the bands to come.

`size`: the scale is 1, so all symbols of a size get the same band (Mondrian conformal prediction: Vovk, Gammerman,
Shafer, "Algorithmic Learning in a Random World", 2005). `size and spread`: it is the symbol's own standard deviation
of a month (Lei, G'Sell, Rinaldo, Tibshirani, Wasserman, "Distribution-free predictive inference for regression", 2018).
`quantile trees`: below and above the forecast each, it is the distance to a quantile that trees have learned from the
same features (Romano, Patterson, Candes, "Conformalized quantile regression", 2019).
"""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from pipeline.forecasting.evaluation import as_served
from pipeline.forecasting.intervals import CLASSES, find_bounds
from pipeline.forecasting.next_day.features import NAMES
from pipeline.forecasting.next_day.models import MANY, NextDayModel
from pipeline.forecasting.next_day.rows import NextDayRows
from pipeline.forecasting.next_day.trees import grow_trees

LEVELS = np.arange(1, 20) / 20  # of the quantiles that are served: 5% to 95%
TAILS = np.array([0.1, 0.9])  # of the quantiles that the trees learn
LEAST_SCALE = 0.02  # in logs of volume: no forecast is surer than by 2%
USUAL_SPREAD = 0.1  # what is added to a symbol's own: a quiet month is partly luck
DOUBT = 20  # days that a class is short of: its mean is drawn towards the forecast by as many
QUANTILE_TREES = "quantile trees"
METHODS = ("size", "size and spread", QUANTILE_TREES)

Scale = Callable[[np.ndarray, np.ndarray], np.ndarray]  # inputs, forecast in logs: below and above it, float64[n, 2]


@dataclass(frozen=True)
class Outlook:
    """What is said of n days beside the forecast, in shares, not yet rounded.

    low, high: float64[n], between which 80% shall lie. quantiles: float64[n, len(LEVELS)], rising. mean: float64[n],
    the mean of all that may come; the forecast itself is near the middle of it.
    """

    low: np.ndarray
    high: np.ndarray
    quantiles: np.ndarray
    mean: np.ndarray


@dataclass(frozen=True)
class Bands:
    """The distribution around a forecast, by class of size.

    edges: float64[CLASSES - 1], of `base`. steps: float64[CLASSES, 2 + len(LEVELS)], in units of the scale: low, high,
    and the quantiles. lift: float64[CLASSES], the mean of what came by the mean of the quantiles.
    """

    method: str
    scale: Scale
    edges: np.ndarray
    steps: np.ndarray
    lift: np.ndarray

    def apply(self, inputs: np.ndarray, forecast: np.ndarray) -> Outlook:
        """What to say of days whose forecast is known. inputs: float32[n, features]; forecast: float64[n], shares."""
        size = find_classes(self.edges, inputs)
        low, high, *quantiles = spread_out(self.steps[size], self.scale(inputs, np.log1p(forecast)), forecast).T
        stacked = np.stack(quantiles, axis=1)
        mean = self.lift[size] * stacked.mean(axis=1)
        return Outlook(np.minimum(low, forecast), np.maximum(high, forecast), stacked, mean)


def find_classes(edges: np.ndarray, inputs: np.ndarray) -> np.ndarray:
    """The class of size of each row, 0 to CLASSES - 1. int64[n]."""
    return np.searchsorted(edges, inputs[:, NAMES.index("base")], side="right")


def spread_out(steps: np.ndarray, scale: np.ndarray, forecast: np.ndarray) -> np.ndarray:
    """Volumes that lie `steps` scales from the forecast: float64[n, k], float64[n, 2], float64[n] to float64[n, k]."""
    sides = np.where(steps < 0, scale[:, :1], scale[:, 1:])
    volumes: np.ndarray = np.maximum(np.expm1(np.log1p(forecast)[:, None] + steps * sides), 0.0)
    return volumes


def calibrate_bands(method: str, scale: Scale, rows: NextDayRows, forecast: np.ndarray) -> Bands:
    """The bands that would have been right on the calibration's rows. forecast: float64[n], shares."""
    edges = np.quantile(rows.base, np.arange(1, CLASSES) / CLASSES)
    size, sides = find_classes(edges, rows.inputs), scale(rows.inputs, np.log1p(forecast))
    away = np.log1p(rows.target) - np.log1p(forecast)
    units = away / np.where(away < 0, sides[:, 0], sides[:, 1])
    classes = [size == number if (size == number).any() else np.ones(len(size), bool) for number in range(CLASSES)]
    steps = np.array([cut_units(units[chosen]) for chosen in classes])
    middle = spread_out(steps[size, 2:], sides, forecast).mean(axis=1)
    lift = np.array([compare_means(rows.target[chosen], middle[chosen]) for chosen in classes])
    return Bands(method, scale, edges, steps, lift)


def cut_units(units: np.ndarray) -> np.ndarray:
    """Low, high and the quantiles of LEVELS of some numbers, with the conformal correction for how few they are."""
    ordered = np.sort(units)
    ranks = np.clip(np.ceil(LEVELS * (len(ordered) + 1)).astype(np.int64) - 1, 0, len(ordered) - 1)
    return np.array([*find_bounds(ordered), *ordered[ranks]])


def compare_means(actual: np.ndarray, middle: np.ndarray) -> float:
    """By how much the mean of what came exceeds that of the quantiles; few days say less. float64[n] each."""
    there = middle.sum()
    return float((actual.sum() + DOUBT * middle.mean()) / (there + DOUBT * middle.mean())) if there > 0 else 1.0


def scale_by_size(inputs: np.ndarray, forecast: np.ndarray) -> np.ndarray:
    """The scale of `size`: 1."""
    return np.ones((len(inputs), 2))


def scale_by_spread(inputs: np.ndarray, forecast: np.ndarray) -> np.ndarray:
    """The scale of `size and spread`."""
    spread = inputs[:, NAMES.index("spread")].astype(np.float64) + USUAL_SPREAD
    return np.stack([spread, spread], axis=1)


def learn_scale(method: str, rows: NextDayRows, device: str = "cpu") -> Scale:
    """The scale of one of METHODS. Raises KeyError for another."""
    if method == QUANTILE_TREES:
        return learn_quantiles(rows, device)
    return {"size": scale_by_size, "size and spread": scale_by_spread}[method]


def learn_quantiles(rows: NextDayRows, device: str) -> Scale:
    """The scale of `quantile trees`, learned from up to MANY of the rows, equally far apart.

    These trees sort their errors anew in each round, mostly on one core. So both tails grow at a time.
    """
    few = rows.select(slice(None, None, max(1, -(-len(rows) // MANY))))
    settings: dict[str, Any] = {"objective": "reg:quantileerror", "device": device}
    settings |= {"max_depth": 4, "min_child_weight": 100, "colsample_bynode": 0.5}
    tails = [settings | {"quantile_alpha": tail} for tail in TAILS]
    with ThreadPoolExecutor(len(tails)) as both:
        low, high = both.map(partial(grow_trees, few.inputs, few.logs, rounds=75, eta=0.2), tails)

    def scale(inputs: np.ndarray, forecast: np.ndarray) -> np.ndarray:
        base = inputs[:, NAMES.index("base")]
        distances = np.stack([forecast - base - low(inputs), base + high(inputs) - forecast], axis=1)
        floored: np.ndarray = np.maximum(distances, LEAST_SCALE)
        return floored

    return scale


def measure_pinball(actual: np.ndarray, outlook: Outlook) -> float:
    """The pinball loss of low and high as the quantiles TAILS of log(1 + V), both together, as served."""
    logs, losses = np.log1p(actual), 0.0
    for level, bound in zip(TAILS, (outlook.low, outlook.high), strict=True):
        above = logs - np.log1p(as_served(bound))
        losses += float(np.maximum(level * above, (level - 1) * above).mean())
    return losses


def choose_bands(scales: Mapping[str, Scale], rows: NextDayRows, model: NextDayModel) -> tuple[str, dict[str, float]]:
    """The method with the least pinball loss on the later half of the calibration's days, calibrated on the earlier
    half; and the loss of each.
    """
    middle = np.median(rows.day)
    early, late = rows.select(rows.day <= middle), rows.select(rows.day > middle)
    if not len(late):
        early = late = rows
    told, later = model.forecast(early.inputs), model.forecast(late.inputs)
    losses = {
        method: measure_pinball(late.target, calibrate_bands(method, scale, early, told).apply(late.inputs, later))
        for method, scale in scales.items()
    }
    return min(losses, key=lambda method: losses[method]), losses
