"""What if the grid had learned from other rows? Grids judged on chosen rows of the test, in one pass of sums."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add

import numpy as np
import pandas as pd
from pyspark.sql import SparkSession

from pipeline.datasets.places import Place
from pipeline.forecasting.chunks import gather
from pipeline.forecasting.market_rows import MarketRows, draw_luck, is_held_out, read_rows
from pipeline.forecasting.periods import Periods
from pipeline.forecasting.same_day.counts import LUCKY
from pipeline.forecasting.same_day.grid import find_cells, fit_grid
from pipeline.forecasting.scores import NAIVE, Sums, add_up

JUDGED_ON = {
    "all": "test years",
    "held out": "test years, the symbols held out",
    "left over": "test years, the fifth day",
    "yesterday": "test years, window without today",
}


@dataclass(frozen=True)
class Experiment:
    """A grid that learns from `shares`, int64[*grid.SHAPE, BINS], and is judged on the rows of the test that `rows`
    names, a key of JUDGED_ON. learned_from: what the shares were counted of.
    """

    learned_from: str
    shares: np.ndarray
    rows: str = "all"


def run_experiments(
    spark: SparkSession, files: list[Place], periods: Periods, experiments: Sequence[Experiment]
) -> pd.DataFrame:
    """A row for each experiment: columns "trained on", "judged on", skill, wape, naive_wape."""
    tables = [(one.rows, fit_grid(one.shares)) for one in experiments]

    def judge_parts(chunk: list[Place]) -> list[Sums]:
        parts = [judge_rows(read_rows(file, periods.calibration_day), periods, tables) for file in chunk]
        return [reduce(add, sums) for sums in zip(*parts, strict=True)]

    found = [reduce(add, sums).score() for sums in zip(*gather(spark, files, judge_parts), strict=True)]
    lines = [
        {
            "trained on": one.learned_from,
            "judged on": JUDGED_ON[one.rows],
            **{name: scores.get("grid", {}).get(name, np.nan) for name in ("skill", "wape")},
            "naive_wape": scores.get(NAIVE, {}).get("wape", np.nan),
        }
        for one, scores in zip(experiments, found, strict=True)
    ]
    return pd.DataFrame(lines)


def judge_rows(rows: MarketRows, periods: Periods, tables: Sequence[tuple[str, np.ndarray]]) -> list[Sums]:
    """The sums of each table and of naive, over the rows that it is judged on."""
    test, yesterday = (part.select(part.day >= periods.test_day) for part in (rows, rows.without_today()))
    chosen = {
        "all": test,
        "held out": test.select(is_held_out(test.symbol)),
        "left over": test.select(draw_luck(test.symbol, test.day) >= LUCKY),
        "yesterday": yesterday,
    }
    return [look_up(chosen[name], ratio) for name, ratio in tables]


def look_up(rows: MarketRows, ratio: np.ndarray) -> Sums:
    level = rows.vol_moving_avg
    return add_up(rows.volume, {NAIVE: level, "grid": ratio[find_cells(level, rows.adj_close_rolling_med)] * level})
