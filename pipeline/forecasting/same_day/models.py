"""The models of today's Volume from its two features, each fitted on all rows of the training period.

Trees learn the ratio Volume / vol_moving_avg, in octaves, from the logarithms of the features: of raw volumes, which
span nine orders of magnitude, they would learn the few giants and nothing else. Errors are counted in shares, so a
row weighs its vol_moving_avg.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pyspark.ml.feature import VectorAssembler
from pyspark.ml.regression import LinearRegression, LinearRegressionModel, RandomForestRegressor
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from pipeline.datasets.contract import flagged
from pipeline.forecasting.evaluation import round_digits
from pipeline.forecasting.market_rows import MarketRows, read_rows
from pipeline.forecasting.same_day.grid import PRICE_EDGES, VOLUME_EDGES, find_cells, find_quantiles, fit_grid
from pipeline.forecasting.threads import THREADS, limit_threads

FEATURES = ["vol_moving_avg", "adj_close_rolling_med"]
LEAST_RATIO = 2.0**-4  # what a day without trade counts as on the scale of octaves
TREES = {"random_forest": 30, "hist_gradient_boosting": 60, "xgboost": 60}
DEPTH = 7
FOREST_PARTS = 8
SEED = 7
SURE_DIGITS = 9  # of what training adds up in floating point, wherever and in whatever order that is done

Predict = Callable[[np.ndarray, np.ndarray], np.ndarray]  # volumes, prices: float64[n] -> float64[n]


@dataclass(frozen=True)
class Fitted:
    """A model of the same day. point: what serving.bundle takes; None for trees, which `tabulate` turns into a grid."""

    name: str
    predict: Predict
    train_rows: int
    point: dict[str, Any] | None


def fit_naive(train_rows: int) -> Fitted:
    """The answer vol_moving_avg itself: no model, and what a model has to beat."""
    return Fitted("naive", lambda volumes, prices: volumes, train_rows, {"kind": "naive", "scale": 1.0})


def fit_naive_scaled(shares: np.ndarray, train_rows: int) -> Fitted:
    """vol_moving_avg times one number: the ratio's median over all rows, each weighing its shares (see
    grid.Histograms).
    """
    scale = float(find_quantiles(shares.sum(axis=(0, 1)).astype(np.float64), 0.5))
    point = {"kind": "naive", "scale": scale}
    return Fitted("naive_scaled", lambda volumes, prices: scale * volumes, train_rows, point)


def fit_quantile_grid(shares: np.ndarray, train_rows: int) -> Fitted:
    """The ratio's median in each cell of the grid."""
    ratio = fit_grid(shares)
    return Fitted("grid", look_up(ratio), train_rows, grid_point(ratio))


def look_up(ratio: np.ndarray) -> Predict:
    """The forecast of a table of ratios, float64[grid.SHAPE]."""
    return lambda volumes, prices: ratio[find_cells(volumes, prices)] * volumes


def grid_point(ratio: np.ndarray) -> dict[str, Any]:
    """A table of ratios as serving.bundle takes it."""
    return {"kind": "grid", "edges": list_edges(), "ratio": ratio.tolist()}


def list_edges() -> dict[str, list[float]]:
    """The grid's inner edges of each feature."""
    return dict(zip(FEATURES, (VOLUME_EDGES.tolist(), PRICE_EDGES.tolist()), strict=True))


def select_rows(features: DataFrame, end: str) -> DataFrame:
    """Rows of the Spark dataset `features` before the day `end` that models may learn from: both features, no flag."""
    return features.where((F.col("Date") < F.lit(end).cast("date")) & ~flagged(features)).dropna(subset=FEATURES)


def fit_linear(rows: DataFrame, train_rows: int) -> tuple[Fitted, LinearRegressionModel]:
    """Spark ML's least squares of Volume on the two raw features. rows: see select_rows."""
    points = rows.sparkSession.createDataFrame(summarize_moments(rows, [*FEATURES, "Volume"]))
    table = VectorAssembler(inputCols=FEATURES, outputCol="features").transform(points)
    model = LinearRegression(featuresCol="features", labelCol="Volume", weightCol="weight", solver="normal").fit(table)
    # Spark adds up in the order in which its tasks end, so the last digits of two fits differ.
    a, b, c = (round_digits(number, SURE_DIGITS) for number in (model.intercept, *model.coefficients))
    point = {"kind": "linear", "intercept": a, "coefficients": [b, c]}
    return Fitted("linear", lambda volumes, prices: a + b * volumes + c * prices, train_rows, point), model


def summarize_moments(rows: DataFrame, columns: list[str]) -> pd.DataFrame:
    """A few weighted points with the same means and covariances as all rows, and so with the same least squares.

    Spark adds up the moments in a pass of generated code; a row at a time through Spark ML takes ten times as long.
    Returns two points a column, on both sides of the mean along each main axis, and `weight`, their share of the rows.
    """
    pairs = [(one, other) for one in columns for other in columns]
    sums = (*(F.avg(name) for name in columns), *(F.covar_pop(one, other) for one, other in pairs))
    (found,) = rows.agg(*sums).collect()
    size = len(columns)
    means, covariances = np.array(found[:size], np.float64), np.array(found[size:], np.float64).reshape(size, size)
    # Along the axes of the correlations: next to volumes the variance of a price is less than a rounding error.
    scales = np.sqrt(np.maximum(np.diag(covariances), np.finfo(float).tiny))
    variances, axes = np.linalg.eigh(covariances / np.outer(scales, scales))
    steps = (axes * np.sqrt(size * np.maximum(variances, 0))).T * scales
    return pd.DataFrame(np.vstack([means + steps, means - steps]), columns=columns).assign(weight=0.5 / size)


def fit_random_forest(rows: DataFrame, train_rows: int) -> Fitted:
    """Spark ML's forest on the ratio. rows: see select_rows."""
    level, price = (F.log2(F.greatest(F.col(name), F.lit(2.0**-20))) for name in FEATURES)
    ratio = F.greatest(F.col("Volume") / F.col(FEATURES[0]), F.lit(LEAST_RATIO))
    table = rows.where(F.col(FEATURES[0]) > 0).select(
        level.alias("level"), price.alias("price"), F.log2(ratio).alias("octaves"), F.col(FEATURES[0]).alias("weight")
    )
    # Which rows a tree draws depends on how they are cut: the same cut for any number of cores.
    table = table.repartition(FOREST_PARTS, "price").sortWithinPartitions("price", "level", "octaves")
    assembler = VectorAssembler(inputCols=["level", "price"], outputCol="features")
    forest = RandomForestRegressor(
        featuresCol="features",
        labelCol="octaves",
        weightCol="weight",
        numTrees=TREES["random_forest"],
        maxDepth=DEPTH,
        seed=SEED,
    ).fit(assembler.transform(table))

    def predict(inputs: np.ndarray) -> np.ndarray:
        asked = pd.DataFrame(inputs, columns=["level", "price"]).reset_index()
        answers = forest.transform(assembler.transform(rows.sparkSession.createDataFrame(asked)))
        table = answers.select("index", "prediction").toPandas().sort_values("index")
        return np.asarray(table["prediction"], np.float64)

    return Fitted("random_forest", from_octaves(predict), train_rows, None)


@dataclass(frozen=True)
class Ratios:
    """What trees learn from, 16 bytes a row. inputs: float32[n, 2], both features in octaves; octaves: float32[n],
    the ratio; weight: float32[n], shares in millions."""

    inputs: np.ndarray
    octaves: np.ndarray
    weight: np.ndarray


def read_ratios(files: list[Path], end_day: int) -> Ratios:
    """All rows before `end_day` (days since 1970-01-01) that have a ratio, part by part."""
    parts = [find_ratios(read_rows(file, end_day=end_day)) for file in files]
    return Ratios(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Ratios)))


def find_ratios(rows: MarketRows) -> Ratios:
    """The ratios of rows at hand, but for those whose vol_moving_avg is 0."""
    rows = rows.select(rows.vol_moving_avg > 0)
    octaves = np.log2(np.maximum(rows.volume / rows.vol_moving_avg, LEAST_RATIO))
    inputs = describe(rows.vol_moving_avg, rows.adj_close_rolling_med)
    return Ratios(inputs, octaves.astype(np.float32), (rows.vol_moving_avg / 1e6).astype(np.float32))


def fit_trees(name: str, ratios: Ratios, train_rows: int, device: str = "cpu") -> Fitted:
    """Boosted trees on the ratio: `hist_gradient_boosting` by scikit-learn or `xgboost`. device: "cpu" or "cuda", for
    XGBoost.
    """
    boost = boost_xgboost(ratios, device) if name == "xgboost" else boost_sklearn(ratios)
    return Fitted(name, from_octaves(boost), train_rows, None)


def boost_xgboost(ratios: Ratios, device: str) -> Callable[[np.ndarray], np.ndarray]:
    import xgboost

    settings = {
        "tree_method": "hist",
        "device": device,
        "max_depth": DEPTH,
        "eta": 0.1,
        "nthread": THREADS,
        "seed": SEED,
    }
    weight = ratios.weight / ratios.weight.mean(dtype=np.float64).astype(np.float32)
    data = xgboost.QuantileDMatrix(ratios.inputs, ratios.octaves, weight=weight, nthread=THREADS)
    booster = xgboost.train({**settings, "min_child_weight": 50}, data, TREES["xgboost"])
    return lambda asked: np.asarray(booster.inplace_predict(asked), np.float64)


def boost_sklearn(ratios: Ratios) -> Callable[[np.ndarray], np.ndarray]:
    from sklearn.ensemble import HistGradientBoostingRegressor

    trees = HistGradientBoostingRegressor(max_iter=TREES["hist_gradient_boosting"], max_depth=DEPTH, random_state=SEED)
    with limit_threads():
        trees.fit(ratios.inputs, ratios.octaves, sample_weight=ratios.weight)
    return lambda asked: np.asarray(trees.predict(asked), np.float64)


def describe(volumes: np.ndarray, prices: np.ndarray) -> np.ndarray:
    """Both features in octaves, float32[n, 2]."""
    inputs = np.empty((len(volumes), 2), np.float32)
    for place, values in enumerate((volumes, prices)):
        inputs[:, place] = np.log2(np.maximum(values, 2.0**-20))
    return inputs


def from_octaves(predict: Callable[[np.ndarray], np.ndarray]) -> Predict:
    """A forecast of Volume from one of the ratio in octaves."""
    return lambda volumes, prices: np.exp2(predict(describe(volumes, prices))) * volumes


def tabulate(fitted: Fitted) -> Fitted:
    """A model of trees as a grid: its answer in the middle of each cell, so that it serves without its library.

    Rounded to SURE_DIGITS places: threads and tasks add up in any order, so the last digits of two fits differ.
    """
    volumes, prices = middles(VOLUME_EDGES), middles(PRICE_EDGES)
    asked = np.repeat(volumes, len(prices)), np.tile(prices, len(volumes))
    ratio = np.round(fitted.predict(*asked) / asked[0], SURE_DIGITS).reshape(len(volumes), len(prices))
    return Fitted(fitted.name, look_up(ratio), fitted.train_rows, grid_point(ratio))


def middles(edges: np.ndarray) -> np.ndarray:
    """A value inside each of the cells that `edges` bound: the geometric middle. float64[k] to float64[k + 1]."""
    step = np.sqrt(edges[1] / edges[0])
    return np.concatenate([[edges[0] / step], edges * step])


def choose_questions(rows: MarketRows, count: int = 40) -> list[dict[str, float]]:
    """Golden questions: rows of all sizes, and the edges of cells, where two ways to look up could differ."""
    places = np.argsort(rows.vol_moving_avg, kind="stable")[np.linspace(0, len(rows) - 1, count).astype(np.int64)]
    asked = [(float(rows.vol_moving_avg[place]), float(rows.adj_close_rolling_med[place])) for place in places]
    asked += [(0.0, 1.0), (float(VOLUME_EDGES[20]), float(PRICE_EDGES[10])), (1e12, 1e6)]
    return [dict(zip(FEATURES, pair, strict=True)) for pair in asked]
