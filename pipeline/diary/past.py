"""The forecasts that a model would have made on days that have passed, having learned from earlier days alone."""

from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd
from pyspark.sql import SparkSession

from pipeline.datasets.store import Version
from pipeline.errors import InputError
from pipeline.forecasting.market_rows import number_symbols
from pipeline.forecasting.next_day.folds import cut_folds
from pipeline.forecasting.next_day.forecasts import answer_rows
from pipeline.forecasting.next_day.plan import Plan
from pipeline.forecasting.next_day.rows import collect_rows
from pipeline.forecasting.next_day.survey import collect_survey
from pipeline.forecasting.next_day.trading_calendar import TradingCalendar
from pipeline.forecasting.next_day.walk import Drawn, learn_fold, select_calibration
from pipeline.forecasting.periods import EPOCH


@dataclass(frozen=True)
class Recipe:
    """How the model is made: its kind, how many rows it learns from at most, and by which method its bands are."""

    kind: str
    rows: int
    bands: str


def collect(
    spark: SparkSession, features: Version, etfs: frozenset[str], calendar: TradingCalendar, first: int, rows: int
) -> tuple[Plan, Drawn]:
    """The plan of a single fold that holds no symbol out, and its rows: to learn from, to calibrate on, and all of
    the replayed days ("show").

    The market's features are sums over symbols on the same day, so those of an earlier day hold nothing of later ones.
    """
    files = cast("list[Path]", features.files)  # of a store they have the same methods
    survey = collect_survey(spark, files, etfs, calendar, first)
    known = calendar.days[survey.rows.any(axis=0)]
    plan = Plan(cut_folds(first, max(first, *known[-1:].tolist()), 1), refit=False, hold_out=False)
    least, found = plan.count_kinds(survey.rows, calendar.days)
    if not least:
        raise InputError(
            f"A replay from {EPOCH + timedelta(days=first)} on needs more than a year of days before it: here are "
            f"{found[0]:,} rows to learn from, {found[1]:,} to calibrate on and {found[2]:,} to forecast."
        )
    plan = plan.draw_at_most(rows, survey.rows, calendar.days)
    plan = replace(plan, shares=(*plan.shares[:2], 1.0))
    return plan, collect_rows(spark, files, etfs, calendar, survey.market, plan)


def forecast_span(
    spark: SparkSession, features: Version, listed: pd.DataFrame, calendar: TradingCalendar, first: int, recipe: Recipe
) -> pd.DataFrame:
    """A forecast for each session from `first` on (days since 1970-01-01), of each symbol that has a row on it and on
    the one before, neither of them flagged.

    listed: the dataset `symbols`. Returns symbol, date, and in shares volume, low, high and naive. Raises InputError
    where there is no history before the span.
    """
    etfs = frozenset(listed.loc[listed["kind"] == "etf", "Symbol"])
    plan, drawn = collect(spark, features, etfs, calendar, first, recipe.rows)
    (fold,) = plan.folds
    step = learn_fold(drawn, plan, fold, [recipe.kind], "cpu", [recipe.bands])
    bands = step.calibrate(recipe.kind, [recipe.bands], select_calibration(drawn, fold))[recipe.bands]
    asked = drawn["show"]
    answers = answer_rows(asked.inputs, step.models[recipe.kind], bands)
    symbols = list(listed["Symbol"])
    names = dict(zip(number_symbols(symbols).tolist(), symbols, strict=True))
    return pd.DataFrame(
        {
            "symbol": [names[number] for number in asked.symbol.tolist()],
            "date": pd.Series(pd.to_datetime(asked.day, unit="D")).dt.date,
            **{name: getattr(answers, name).astype(np.int64) for name in ("volume", "low", "high", "naive")},
        }
    )
