"""The third pass over `features`: all rows of the test, forecast in tasks where they lie; only sums come back."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyspark.sql import SparkSession

from pipeline.forecasting.evaluation import find_years
from pipeline.forecasting.market_rows import is_held_out
from pipeline.forecasting.next_day.bands import Bands
from pipeline.forecasting.next_day.features import NAMES, build_features
from pipeline.forecasting.next_day.folds import Fold
from pipeline.forecasting.next_day.market import Market
from pipeline.forecasting.next_day.models import NextDayModel
from pipeline.forecasting.next_day.parts import map_parts, read_symbol_rows
from pipeline.forecasting.next_day.plan import Plan
from pipeline.forecasting.next_day.symbol_rows import MONTH, SymbolRows, mean_of
from pipeline.forecasting.next_day.targets import NAIVE, find_targets, naive_answers
from pipeline.forecasting.next_day.trading_calendar import TradingCalendar
from pipeline.forecasting.scores import Sums, add_up, unpack_sums

CUTS = ("size", "spread", "dollars", "year")
TENTHS = 10
DOLLARS = (1e6, 20e6)  # a day: bounds of the classes that the literature reports
TRADED = 2  # groups of a class: days without a trade, and the others


@dataclass(frozen=True)
class Contestants:
    """Who forecasts a fold: every model, and every band of the champion."""

    fold: Fold
    models: dict[str, NextDayModel]
    champion: str
    bands: dict[str, Bands]


@dataclass(frozen=True)
class Judged:
    """The sums of all forecasts over the test, cut in four ways: the naive answers, the models, and the champion once
    more under the name of each of its bands.

    size: the tenths by size, and by dollars: its classes, each as TRADED groups; spread: the tenths by restlessness;
    year: the years.
    """

    years: list[int]
    sums: dict[str, Sums]

    def score(self) -> dict[str, dict[str, float]]:
        """Over all rows."""
        return self.sums["year"].pool().score()

    def score_by(self, cut: str) -> dict[str, dict[str, dict[str, float]]]:
        """By group of size, spread, or year: its name -> forecast -> scores. Groups without a row are left out."""
        sums = self.sums[cut]
        if cut == "size":
            sums = sums.pool(np.arange(TENTHS * TRADED) // TRADED)
        names = self.years if cut == "year" else range(1, TENTHS + 1)
        scores = {str(name): sums.score(place) for place, name in enumerate(names)}
        return {name: found for name, found in scores.items() if found}

    def score_as_papers_do(self) -> dict[str, dict[str, dict[str, float]]]:
        """Over all rows, those with and without trade, and those of symbols above DOLLARS: a label -> forecast ->
        scores. Groups without a row are left out.
        """
        place = np.arange((len(DOLLARS) + 1) * TRADED)
        members = {"all days": place >= 0, "days with trade": place % TRADED == 1, "days without": place % TRADED == 0}
        members |= {
            f"above {least / 1e6:g} million dollars a day": place >= number * TRADED
            for number, least in enumerate(DOLLARS, start=1)
        }
        scores = {name: self.sums["dollars"].pool(np.where(chosen, 0, -1)).score() for name, chosen in members.items()}
        return {name: found for name, found in scores.items() if found}


def judge_folds(
    spark: SparkSession,
    files: list[Path],
    etfs: frozenset[str],
    calendar: TradingCalendar,
    market: Market,
    plan: Plan,
    contestants: Sequence[Contestants],
    edges: dict[str, np.ndarray],
) -> Judged:
    """The sums over all rows of the test. edges: of the tenths, see Survey.find_edges."""
    first, last = plan.folds[0].test_day, plan.folds[-1].end_day - 1
    first_year, last_year = find_years(np.array([first, last])).tolist()
    years = list(range(first_year, last_year + 1))
    names = [*NAIVE, *(name for name in contestants[0].models if name not in NAIVE), *contestants[0].bands]

    def judge(file: Path) -> Iterator[pa.RecordBatch]:
        rows, _, _ = read_symbol_rows(file, etfs)
        rows = rows.select_symbols(plan.may_judge(is_held_out(rows.key)))
        targets = find_targets(rows, calendar)
        chosen = np.flatnonzero((targets >= 0) & (rows.day[targets] >= first))
        day, volume = rows.day[targets[chosen]], rows.volume[targets[chosen]].astype(np.float64)
        inputs = np.column_stack(list(build_features(rows, market, calendar, chosen).values()))
        forecasts, bounds = forecast_all(contestants, inputs, day)
        forecasts |= {name: answer[chosen] for name, answer in naive_answers(rows).items()}
        ordered = {name: forecasts[name] for name in names}
        cuts = cut_groups(rows, chosen, inputs, volume, edges)
        cuts["year"] = (find_years(day) - years[0], len(years))
        sums = {cut: add_up(volume, ordered, groups, size, bounds).pack() for cut, (groups, size) in cuts.items()}
        yield pa.RecordBatch.from_pydict({cut: [sums[cut]] for cut in CUTS})

    parts = map_parts(spark, files, ", ".join(f"{cut} binary" for cut in CUTS), judge)
    return Judged(years, {cut: reduce(add, (unpack_sums(part.as_py(), names) for part in parts[cut])) for cut in CUTS})


def forecast_all(
    contestants: Sequence[Contestants], inputs: np.ndarray, day: np.ndarray
) -> tuple[dict[str, np.ndarray], dict[str, tuple[np.ndarray, np.ndarray]]]:
    """Each row's forecasts by those of its fold, float64[n] by name, and the bounds of the bands."""
    models, bands = contestants[0].models, contestants[0].bands
    forecasts = {name: np.full(len(day), np.nan) for name in (*models, *bands)}
    bounds = {method: (np.full(len(day), np.nan), np.full(len(day), np.nan)) for method in bands}
    for one in contestants:
        asked = np.flatnonzero(one.fold.tests(day))
        if not len(asked):  # a part may have no row in a stretch, and models do not answer to nothing
            continue
        for name, model in one.models.items():
            forecasts[name][asked] = model.forecast(inputs[asked])
        for method, band in one.bands.items():
            forecasts[method][asked] = forecasts[one.champion][asked]
            outlook = band.apply(inputs[asked], forecasts[method][asked])
            bounds[method][0][asked], bounds[method][1][asked] = outlook.low, outlook.high
    return forecasts, bounds


def cut_groups(
    rows: SymbolRows, chosen: np.ndarray, inputs: np.ndarray, volume: np.ndarray, edges: dict[str, np.ndarray]
) -> dict[str, tuple[np.ndarray, int]]:
    """The group of each chosen row by size, spread and dollars, int64[n], and how many groups there are."""
    tenths = {name: np.searchsorted(edge, inputs[:, NAMES.index(name)], side="right") for name, edge in edges.items()}
    dollars = mean_of(rows.volume * rows.raw_close, MONTH, rows.starts)[chosen]
    traded = (volume > 0).astype(np.int64)
    return {
        "size": (tenths["base"] * TRADED + traded, TENTHS * TRADED),
        "spread": (tenths["spread"], TENTHS),
        "dollars": (np.searchsorted(DOLLARS, dollars, side="right") * TRADED + traded, (len(DOLLARS) + 1) * TRADED),
    }
