"""The models of today's Volume from its two features, each fitted on what was counted of all rows of its period.

Trees learn the ratio Volume / vol_moving_avg, in octaves, from the logarithms of the features: of raw volumes, which
span nine orders of magnitude, they would learn the few giants and nothing else. They learn it from the histograms: a
bin of a cell stands for all rows in it, however many. Their answers in the middle of each cell are kept as a table. So
all models are judged as they are served, without the library that made them.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from pyspark.ml.feature import VectorAssembler
from pyspark.ml.regression import LinearRegression, LinearRegressionModel, RandomForestRegressor
from pyspark.sql import SparkSession

from pipeline.forecasting.evaluation import round_digits
from pipeline.forecasting.market_rows import MarketRows
from pipeline.forecasting.same_day.counts import Learned
from pipeline.forecasting.same_day.grid import BOUNDS, PRICE_EDGES, VOLUME_EDGES, find_cells, find_quantiles, fit_grid
from pipeline.forecasting.same_day.moments import COLUMNS, FEATURES, Moments
from pipeline.forecasting.threads import THREADS, limit_threads

LEAST_RATIO = 2.0**-4  # what a day without trade counts as on the scale of octaves
TREES = {"random_forest": 30, "hist_gradient_boosting": 60, "xgboost": 60}
DEPTH = 7
FOREST_PARTS = 8
SEED = 7
LEAST_SHARE = 0.003  # of all weight, in a leaf of XGBoost: a giant symbol weighs as much as many rows
SURE_DIGITS = 9  # of what training adds up in floating point, wherever and in whatever order that is done

Predict = Callable[[np.ndarray, np.ndarray], np.ndarray]  # volumes, prices: float64[n] -> float64[n]


@dataclass(frozen=True)
class Fitted:
    """A model of the same day. point: what serving.bundle takes."""

    name: str
    predict: Predict
    train_rows: int
    point: dict[str, Any]


def fit_models(names: Iterable[str], learned: Learned, spark: SparkSession, device: str = "cpu") -> dict[str, Fitted]:
    """The models of these names, see parameters.MODEL_NAMES. device: "cpu" or "cuda", for XGBoost."""
    return {name: fit_model(name, learned, spark, device) for name in names}


def fit_model(name: str, learned: Learned, spark: SparkSession, device: str = "cpu") -> Fitted:
    """One model; see fit_models."""
    shares, rows = learned.shares, learned.moments.rows
    if name == "naive":
        return scale_naive(name, 1.0, rows)
    if name == "naive_scaled":
        return scale_naive(name, float(find_quantiles(shares.sum(axis=(0, 1)).astype(np.float64), 0.5)), rows)
    if name == "linear":
        return fit_linear(learned.moments)
    if name == "grid":
        return look_up(name, fit_grid(shares), rows)
    ratios = find_ratios(shares, rows)
    if name == "random_forest":
        return tabulate(name, grow_forest(spark, ratios), rows)
    return tabulate(name, boost_xgboost(ratios, device) if name == "xgboost" else boost_sklearn(ratios), rows)


def scale_naive(name: str, scale: float, train_rows: int) -> Fitted:
    """The answer vol_moving_avg times a number. Times 1 it is no model, but what a model has to beat."""
    return Fitted(name, lambda volumes, prices: scale * volumes, train_rows, {"kind": "naive", "scale": scale})


def look_up(name: str, ratio: np.ndarray, train_rows: int) -> Fitted:
    """The forecast of a table of ratios, float64[grid.SHAPE]."""
    point = {"kind": "grid", "edges": list_edges(), "ratio": ratio.tolist()}
    return Fitted(name, lambda volumes, prices: ratio[find_cells(volumes, prices)] * volumes, train_rows, point)


def list_edges() -> dict[str, list[float]]:
    """The grid's inner edges of each feature."""
    return dict(zip(FEATURES, (VOLUME_EDGES.tolist(), PRICE_EDGES.tolist()), strict=True))


def fit_linear(moments: Moments) -> Fitted:
    """Least squares of Volume on the two raw features."""
    points = place_points(moments)
    inputs = np.column_stack([np.ones(len(points)), points[FEATURES]])
    solved, *_ = np.linalg.lstsq(inputs, points["Volume"].to_numpy())
    a, b, c = (round_digits(number, SURE_DIGITS) for number in solved)
    point = {"kind": "linear", "intercept": a, "coefficients": [b, c]}
    return Fitted("linear", lambda volumes, prices: a + b * volumes + c * prices, moments.rows, point)


def fit_spark_linear(spark: SparkSession, moments: Moments) -> LinearRegressionModel:
    """The same line by Spark ML."""
    points = spark.createDataFrame(place_points(moments))
    table = VectorAssembler(inputCols=FEATURES, outputCol="features").transform(points)
    line = LinearRegression(featuresCol="features", labelCol="Volume", weightCol="weight", solver="normal")
    fitted: LinearRegressionModel = line.fit(table)
    return fitted


def place_points(moments: Moments) -> pd.DataFrame:
    """Six weighted points with the same means and covariances as all rows, and so with the same least squares.

    Returns two points for each of COLUMNS, on both sides of the mean along each main axis, and `weight`, their share of
    the rows.
    """
    covariances = moments.comoments / moments.rows
    # Along the axes of the correlations: next to volumes the variance of a price is less than a rounding error.
    scales = np.sqrt(np.maximum(np.diag(covariances), np.finfo(float).tiny))
    variances, axes = np.linalg.eigh(covariances / np.outer(scales, scales))
    steps = (axes * np.sqrt(len(COLUMNS) * np.maximum(variances, 0))).T * scales
    both = np.vstack([moments.mean + steps, moments.mean - steps])
    return pd.DataFrame(both, columns=COLUMNS).assign(weight=0.5 / len(COLUMNS))


@dataclass(frozen=True)
class Ratios:
    """What trees learn from: an entry for each bin of each cell that holds rows.

    inputs: float32[k, 2], the middle of the cell, both features in octaves. octaves: float32[k], the ratio. weight:
    float64[k], the entry's part of the shares; the mean over the rows is 1.
    """

    inputs: np.ndarray
    octaves: np.ndarray
    weight: np.ndarray


def find_ratios(shares: np.ndarray, rows: int) -> Ratios:
    """The ratios of `rows` rows that were counted. shares: int64[*grid.SHAPE, BINS]."""
    volume, price, place = np.nonzero(shares)
    middle_ratio = np.sqrt(np.maximum(BOUNDS[:-1], LEAST_RATIO) * np.maximum(BOUNDS[1:], LEAST_RATIO))
    inputs = describe(middles(VOLUME_EDGES)[volume], middles(PRICE_EDGES)[price])
    weight = shares[volume, price, place].astype(np.float64)
    return Ratios(inputs, np.log2(middle_ratio)[place].astype(np.float32), weight * rows / weight.sum())


def grow_forest(spark: SparkSession, ratios: Ratios) -> Callable[[np.ndarray], np.ndarray]:
    """Spark ML's forest on the ratio."""
    assembler = VectorAssembler(inputCols=["level", "price"], outputCol="features")
    forest = RandomForestRegressor(
        featuresCol="features",
        labelCol="octaves",
        weightCol="weight",
        numTrees=TREES["random_forest"],
        maxDepth=DEPTH,
        seed=SEED,
    )
    table = pd.DataFrame(ratios.inputs.astype(np.float64), columns=["level", "price"])
    table = table.assign(octaves=ratios.octaves.astype(np.float64), weight=ratios.weight)
    # Which rows a tree draws depends on how they are cut: the same cut for any number of cores.
    rows = spark.createDataFrame(table).repartition(FOREST_PARTS, "price")
    fitted = forest.fit(assembler.transform(rows.sortWithinPartitions("price", "level", "octaves")))

    def predict(inputs: np.ndarray) -> np.ndarray:
        asked = pd.DataFrame(inputs.astype(np.float64), columns=["level", "price"]).reset_index()
        answers = fitted.transform(assembler.transform(spark.createDataFrame(asked)))
        answered = answers.select("index", "prediction").toPandas().sort_values("index")
        return np.asarray(answered["prediction"], np.float64)

    return predict


def boost_xgboost(ratios: Ratios, device: str) -> Callable[[np.ndarray], np.ndarray]:
    import xgboost

    settings = {
        "tree_method": "hist",
        "device": device,
        "max_depth": DEPTH,
        "eta": 0.1,
        "min_child_weight": LEAST_SHARE * ratios.weight.sum(),
        "nthread": THREADS,
        "seed": SEED,
    }
    data = xgboost.QuantileDMatrix(ratios.inputs, ratios.octaves, weight=ratios.weight, nthread=THREADS)
    booster = xgboost.train(settings, data, TREES["xgboost"])
    return lambda asked: np.asarray(booster.inplace_predict(asked), np.float64)


def boost_sklearn(ratios: Ratios) -> Callable[[np.ndarray], np.ndarray]:
    from sklearn.ensemble import HistGradientBoostingRegressor

    trees = HistGradientBoostingRegressor(max_iter=TREES["hist_gradient_boosting"], max_depth=DEPTH, random_state=SEED)
    with limit_threads():
        trees.fit(ratios.inputs, ratios.octaves, sample_weight=ratios.weight)
    return lambda asked: np.asarray(trees.predict(asked), np.float64)


def describe(volumes: np.ndarray, prices: np.ndarray) -> np.ndarray:
    """Both features in octaves, float32[n, 2]."""
    inputs: np.ndarray = np.log2(np.maximum(np.column_stack([volumes, prices]), 2.0**-20)).astype(np.float32)
    return inputs


def tabulate(name: str, predict: Callable[[np.ndarray], np.ndarray], train_rows: int) -> Fitted:
    """Trees as a grid: their answer in the middle of each cell.

    Rounded to SURE_DIGITS places: threads and tasks add up in any order, so the last digits of two fits differ.
    """
    volumes, prices = middles(VOLUME_EDGES), middles(PRICE_EDGES)
    asked = describe(np.repeat(volumes, len(prices)), np.tile(prices, len(volumes)))
    ratio = np.round(np.exp2(predict(asked)), SURE_DIGITS).reshape(len(volumes), len(prices))
    return look_up(name, ratio, train_rows)


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
