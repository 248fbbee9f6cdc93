"""Models of the same day, judged on all rows of the later years where these lie: one pass, which brings back sums."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import add

import numpy as np
import pandas as pd
import pyarrow as pa
from pyspark.sql import SparkSession

from pipeline.datasets.places import Place
from pipeline.forecasting.chunks import gather
from pipeline.forecasting.evaluation import DECILES, find_years
from pipeline.forecasting.intervals import Interval
from pipeline.forecasting.market_rows import MarketRows, read_rows
from pipeline.forecasting.periods import Periods
from pipeline.forecasting.same_day.counts import SIZE_EDGES
from pipeline.forecasting.same_day.grid import find_cells
from pipeline.forecasting.scores import Sums, add_up

KINDS = ("stock", "ETF")
Predict = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Trial:
    """What is judged, and how its rows are grouped.

    candidates, models: name -> forecasts, naive among them; the first learned until the calibration, the others until
    the test. interval: that of all models. edges: float64[DECILES - 1], the bounds of the deciles of size. etfs:
    int64[k], numbers of symbols.
    """

    periods: Periods
    candidates: Mapping[str, Predict]
    models: Mapping[str, Predict]
    interval: Interval
    edges: np.ndarray
    etfs: np.ndarray

    @property
    def groups(self) -> pd.MultiIndex:
        """The groups of the test's rows, in order."""
        years = range(self.periods.test_from.year, self.periods.last.year + 1)
        return pd.MultiIndex.from_product([years, KINDS, range(1, DECILES + 1)], names=["year", "kind", "decile"])

    def group(self, rows: MarketRows) -> np.ndarray:
        """The place of each row among the groups. int64[n]."""
        year = find_years(rows.day) - self.periods.test_from.year
        decile = np.searchsorted(self.edges, rows.vol_moving_avg, side="right")
        return (year * len(KINDS) + np.isin(rows.symbol, self.etfs)) * DECILES + decile


@dataclass(frozen=True)
class Judgement:
    """weeks: the sums of the candidates, by week of the calibration. test: those of the models, by Trial.groups."""

    weeks: Sums
    test: Sums

    def __add__(self, other: "Judgement") -> "Judgement":
        return Judgement(self.weeks + other.weeks, self.test + other.test)


def find_edges(sizes: np.ndarray) -> np.ndarray:
    """The bounds of the deciles of size. sizes: see counts.Counts. float64[DECILES - 1]."""
    wanted = np.arange(1, DECILES) / DECILES * sizes.sum()
    edges: np.ndarray = SIZE_EDGES[np.minimum(np.searchsorted(np.cumsum(sizes), wanted), len(SIZE_EDGES) - 1)]
    return edges


def judge(spark: SparkSession, files: list[Place], trial: Trial) -> Judgement:
    """The sums of all rows of all parts, from the calibration on."""
    return reduce(add, gather(spark, files, lambda chunk: judge_parts(chunk, trial)))


def judge_parts(files: list[Place], trial: Trial) -> Judgement:
    """The sums of some parts."""
    # A worker keeps what it has freed. The counting before took most, and nothing after it needs as much.
    pa.default_memory_pool().release_unused()
    return reduce(add, (judge_rows(read_rows(file, trial.periods.calibration_day), trial) for file in files))


def judge_rows(rows: MarketRows, trial: Trial) -> Judgement:
    """The sums of rows at hand, from the calibration on."""
    start, end = trial.periods.calibration_day, trial.periods.test_day
    before, test = rows.select(rows.day < end), rows.select(rows.day >= end)
    answers = answer(trial.models, test)
    return Judgement(
        add_up(before.volume, answer(trial.candidates, before), (before.day - start) // 7, (end - start) // 7 + 1),
        add_up(test.volume, answers, trial.group(test), len(trial.groups), bound(answers, test, trial.interval)),
    )


def answer(models: Mapping[str, Predict], rows: MarketRows) -> dict[str, np.ndarray]:
    """What the models say, in shares: float64[n] each."""
    return {name: predict(rows.vol_moving_avg, rows.adj_close_rolling_med) for name, predict in models.items()}


def bound(
    answers: Mapping[str, np.ndarray], rows: MarketRows, interval: Interval
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Low and high of each answer, which is never outside of them. float64[n] each."""
    cells = find_cells(rows.vol_moving_avg, rows.adj_close_rolling_med)
    low, high = interval.low[cells] * rows.vol_moving_avg, interval.high[cells] * rows.vol_moving_avg
    return {name: (np.minimum(low, told), np.maximum(high, told)) for name, told in answers.items()}


def score_groups(sums: Sums, groups: pd.MultiIndex, level: str, name: str) -> pd.DataFrame:
    """The scores of a forecast in each group of one level, "year", "kind" or "decile", that has rows: a row for each.

    sums: Judgement.test; groups: Trial.groups.
    """
    members, labels = pd.factorize(groups.get_level_values(level))
    pooled = sums.pool(members)
    found = {label: pooled.score(place).get(name) for place, label in enumerate(labels)}
    return pd.DataFrame({label: scores for label, scores in found.items() if scores}).T.astype({"rows": int})
