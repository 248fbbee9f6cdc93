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
from pipeline.forecasting.evaluation import as_served
from pipeline.forecasting.intervals import calibrate_classes
from pipeline.forecasting.market_rows import number_symbols
from pipeline.forecasting.next_day.features import NAMES
from pipeline.forecasting.next_day.market import collect_market
from pipeline.forecasting.next_day.models import fit_next_day
from pipeline.forecasting.next_day.plan import Plan
from pipeline.forecasting.next_day.rows import NextDayRows, collect_rows
from pipeline.forecasting.next_day.trading_calendar import TradingCalendar
from pipeline.forecasting.periods import CALIBRATION_YEARS, EPOCH, go_back


@dataclass(frozen=True)
class Recipe:
    """How the model is made: its kind, and how many rows it learns from at most."""

    kind: str
    rows: int


def collect(
    spark: SparkSession, features: Version, etfs: frozenset[str], calendar: TradingCalendar, first: int, rows: int
) -> dict[str, NextDayRows]:
    """The rows to learn from, to calibrate on, and all of the replayed days ("test").

    The market's features are sums over symbols on the same day, so those of an earlier day hold nothing of later ones.
    """
    start = EPOCH + timedelta(days=first)
    calibration = (go_back(start, CALIBRATION_YEARS) - EPOCH).days
    plan = Plan(calibration, first, hold_out=False)
    files = cast("list[Path]", features.files)  # of a store they have the same methods
    market, counts = collect_market(spark, files, etfs, calendar, plan)
    together = counts.sum(axis=0)
    if not together.all():
        raise InputError(
            f"A replay from {start} on needs more than {CALIBRATION_YEARS} years of days before it: here are "
            f"{together[0]:,} rows to learn from, {together[1]:,} to calibrate on and {together[2]:,} to forecast."
        )
    plan = plan.draw_at_most(rows, together)
    return collect_rows(spark, files, etfs, calendar, market, replace(plan, shares=(*plan.shares[:2], 1.0)))


def forecast_span(
    spark: SparkSession, features: Version, listed: pd.DataFrame, calendar: TradingCalendar, first: int, recipe: Recipe
) -> pd.DataFrame:
    """A forecast for each session from `first` on (days since 1970-01-01), of each symbol that has a row on it and on
    the one before, neither of them flagged.

    listed: the dataset `symbols`. Returns symbol, date, and in shares volume, low, high and naive. Raises InputError
    where there is no history before the span.
    """
    etfs = frozenset(listed.loc[listed["kind"] == "etf", "Symbol"])
    drawn = collect(spark, features, etfs, calendar, first, recipe.rows)
    model = fit_next_day(recipe.kind, drawn["train"])
    chooser, asked = drawn["calibration"], drawn["test"]
    base = NAMES.index("base")
    classes = calibrate_classes(chooser.inputs[:, base], chooser.target, model.forecast(chooser.inputs))
    volume = model.forecast(asked.inputs)
    low, high = classes.apply(asked.inputs[:, base], volume)
    bounds = {"low": np.minimum(low, volume), "high": np.maximum(high, volume)}
    shares = {"volume": volume, **bounds, "naive": asked.naive["naive"]}
    symbols = list(listed["Symbol"])
    names = dict(zip(number_symbols(symbols).tolist(), symbols, strict=True))
    return pd.DataFrame(
        {
            "symbol": [names[number] for number in asked.symbol.tolist()],
            "date": pd.Series(pd.to_datetime(asked.day, unit="D")).dt.date,
            **{name: as_served(values).astype(np.int64) for name, values in shares.items()},
        }
    )
