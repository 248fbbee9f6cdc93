"""A diary of the past: what the daily run would have forecast on each of the last days, had it been at work.

Each day sees only what was known before. The features of a row use nothing after its close; the model and its intervals
have learned from days before the replayed ones alone, the last three years of which calibrate. So one model stands
for the whole span, where the daily run would have trained a new one each evening. Its rows are marked as a replay.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np
import pandas as pd
from pyspark.sql import SparkSession

from pipeline.datasets.contract import FORECASTS
from pipeline.datasets.run_folder import RunFolder
from pipeline.datasets.store import Version
from pipeline.diary.adding import add_rows, hold_diary
from pipeline.diary.entries import to_table
from pipeline.diary.keeping import read_all, score_due
from pipeline.diary.record import write_record
from pipeline.diary.scoring import KEY, drop_known
from pipeline.diary.sessions import find_closes_before
from pipeline.errors import InputError
from pipeline.forecasting.evaluation import as_served
from pipeline.forecasting.intervals import calibrate_classes
from pipeline.forecasting.market_rows import number_symbols
from pipeline.forecasting.next_day.features import NAMES
from pipeline.forecasting.next_day.market import collect_market
from pipeline.forecasting.next_day.models import fit_next_day
from pipeline.forecasting.next_day.plan import Plan
from pipeline.forecasting.next_day.rows import NextDayRows, collect_rows
from pipeline.forecasting.next_day.trading_calendar import TradingCalendar, open_calendar
from pipeline.forecasting.periods import CALIBRATION_YEARS, EPOCH, go_back
from pipeline.reports.scores import read_scores

SETTLE = pd.Timedelta(hours=4)  # after its close a day's Volume is final, and the daily run begins


@dataclass(frozen=True)
class Setting:
    """What the replay takes over from the last training: the kind of model that won, and how many rows train it."""

    model: Version
    champion: str
    rows: int


def replay(spark: SparkSession, run: RunFolder, days: int, tell: Callable[[str], None]) -> int:
    """Forecast each of the last `days` sessions of `features` as if it were to come, note and score it.

    Returns how many forecasts were noted; days that were replayed before are not forecast again. Raises InputError
    where the run folder has no features, no model of the next day, or no history before the days.
    """
    features, listed = run.current("features"), run.current("symbols").read(spark).toPandas()
    setting = read_setting(run)
    names = {
        int(number): name for name, number in zip(listed["Symbol"], number_symbols(list(listed["Symbol"])), strict=True)
    }
    etfs = frozenset(listed.loc[listed["kind"] == "etf", "Symbol"])
    last = find_last_day(spark, features)
    calendar = open_calendar(last)
    first = find_first_day(calendar, last, days)
    tell(f"One model, {setting.champion}, learns from the days before {EPOCH + timedelta(days=first):%Y-%m-%d}.")
    drawn = collect(spark, features, etfs, calendar, first, setting.rows)
    forecasts = forecast(drawn, setting, names)
    forecasts = forecasts[forecasts["date"] <= EPOCH + timedelta(days=last)]
    with hold_diary(run):
        fresh = drop_known(forecasts, read_all(run, "forecasts", KEY))
        if len(fresh):
            add_rows(run, "forecasts", to_table(fresh, FORECASTS), FORECASTS)
        scores = score_due(run, features)
    renew_record(run, setting.model, scores)
    return len(fresh)


def read_setting(run: RunFolder) -> Setting:
    model = run.current("model")
    scores, _ = read_scores(model.path / "metrics.json")
    if "next_day" not in scores:
        raise InputError(f"The model in {run} has no forecasts of next days: train it with NEXT_DAY true first.")
    return Setting(
        model, scores["next_day"]["champion"], int(model.manifest["parameters"].get("NEXT_DAY_ROWS", 1_000_000))
    )


def find_last_day(spark: SparkSession, features: Version) -> int:
    """The last session on which at least half as many symbols have a row as on the busiest one: not a misprinted date.
    Days since 1970-01-01.
    """
    counts = features.read(spark).groupBy("Date").count().toPandas()
    usual = counts.loc[counts["count"] * 2 >= counts["count"].max(), "Date"]
    last: date = usual.max()
    return (last - EPOCH).days


def find_first_day(calendar: TradingCalendar, last: int, days: int) -> int:
    """The first of the last `days` sessions, in days since 1970-01-01."""
    place = int(np.searchsorted(calendar.days, last, side="right"))
    return int(calendar.days[max(0, place - days)])


def collect(
    spark: SparkSession, features: Version, etfs: frozenset[str], calendar: TradingCalendar, first: int, rows: int
) -> dict[str, NextDayRows]:
    """The rows to learn from, to calibrate on, and all of the replayed days ("test").

    The market's features are sums over symbols on the same day, so those of an earlier day hold nothing of later ones.
    """
    start = EPOCH + timedelta(days=first)
    calibration = (go_back(start, CALIBRATION_YEARS) - EPOCH).days
    plan = Plan(calibration, first, hold_out=False)
    market, counts = collect_market(spark, features.files, etfs, calendar, plan)
    together = counts.sum(axis=0)
    if not together.all():
        raise InputError(
            f"A replay from {start} on needs more than {CALIBRATION_YEARS} years of days before it: here are "
            f"{together[0]:,} rows to learn from, {together[1]:,} to calibrate on and {together[2]:,} to forecast."
        )
    plan = plan.draw_at_most(rows, together)
    return collect_rows(spark, features.files, etfs, calendar, market, replace(plan, shares=(*plan.shares[:2], 1.0)))


def forecast(drawn: dict[str, NextDayRows], setting: Setting, names: dict[int, str]) -> pd.DataFrame:
    """The forecasts of the replayed days, columns as FORECASTS."""
    model = fit_next_day(setting.champion, drawn["train"])
    chooser, asked = drawn["calibration"], drawn["test"]
    base = NAMES.index("base")
    classes = calibrate_classes(chooser.inputs[:, base], chooser.target, model.forecast(chooser.inputs))
    volume = model.forecast(asked.inputs)
    low, high = classes.apply(asked.inputs[:, base], volume)
    numbers = {
        "volume": volume,
        "low": np.minimum(low, volume),
        "high": np.maximum(high, volume),
        "naive": asked.naive["naive"],
    }
    columns = {name: as_served(values).astype(np.int64) for name, values in numbers.items()}
    day = pd.Series(pd.to_datetime(asked.day, unit="D")).dt.date
    symbol = [names[int(number)] for number in asked.symbol]
    made_at = (find_closes_before(day) + SETTLE).dt.as_unit("us")
    rows = pd.DataFrame({"symbol": symbol, "date": day, "made_at": made_at, **columns})
    rows = rows.assign(model=setting.model.id, replay=True, late=False)[FORECASTS.names]
    ordered: pd.DataFrame = rows.sort_values(["date", "symbol"], kind="stable", ignore_index=True)
    return ordered


def renew_record(run: RunFolder, model: Version, scores: pd.DataFrame) -> None:
    """Publish the model once more, with the track record as it is now."""
    draft = run.open_draft("model")
    for file in model.manifest["files"]:
        (draft.path / file["name"]).write_bytes((model.path / file["name"]).read_bytes())
    write_record(draft.path, scores)
    manifest = model.manifest
    extra = {"model": manifest["model"]}
    draft.publish(parameters=manifest["parameters"], inputs=manifest["inputs"], extra=extra)
