"""A diary of the past: what the daily run would have forecast on each of the last days, had it been at work.

Each day sees only what was known before. The features of a row use nothing after its close; the model and its intervals
have learned from days before the replayed ones alone, the last three years of which calibrate. So one model stands
for the whole span, where the daily run would have trained a new one each evening. Its rows are marked as a replay.
"""

from collections.abc import Callable
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
from pipeline.diary.past import Recipe, forecast_span
from pipeline.diary.record import write_record
from pipeline.diary.scoring import KEY, drop_known
from pipeline.diary.sessions import find_closes_before
from pipeline.errors import InputError
from pipeline.forecasting.next_day.bands import QUANTILE_TREES
from pipeline.forecasting.next_day.trading_calendar import TradingCalendar, open_calendar
from pipeline.forecasting.periods import EPOCH
from pipeline.reports.scores import read_scores

SETTLE = pd.Timedelta(hours=4)  # after its close a day's Volume is final, and the daily run begins


def replay(spark: SparkSession, run: RunFolder, days: int, tell: Callable[[str], None]) -> int:
    """Forecast each of the last `days` sessions of `features` as if it were to come, note and score it.

    Returns how many forecasts were noted; days that were replayed before are not forecast again. Raises InputError
    where the run folder has no features, no model of the next day, or no history before the days.
    """
    features, model = run.current("features"), run.current("model")
    recipe = read_recipe(run, model)
    last = find_last_day(spark, features)
    calendar = open_calendar(last)
    first = find_first_day(calendar, last, days)
    begin, end = EPOCH + timedelta(days=first), EPOCH + timedelta(days=last)
    tell(f"One model, {recipe.kind}, learns from the days before {begin}, and forecasts those until {end}.")
    forecasts = forecast_span(spark, features, run.current("symbols").read(spark).toPandas(), calendar, first, recipe)
    rows = describe(forecasts[forecasts["date"] <= end], f"{recipe.kind} of the days before {begin}")
    with hold_diary(run):
        score_due(run, features, model)  # published ones, which may have been told in other shares than ours
        fresh = drop_known(rows, read_all(run, "forecasts", KEY))
        if len(fresh):
            add_rows(run, "forecasts", to_table(fresh, FORECASTS), FORECASTS)
        scores = score_due(run, features)
    renew_record(run, model, scores)
    return len(fresh)


def read_recipe(run: RunFolder, model: Version) -> Recipe:
    """The kind of model that won in the last training, its rows and bands. Raises InputError where there was none."""
    scores, _ = read_scores(model.path / "metrics.json")
    if "next_day" not in scores:
        raise InputError(f"The model in {run} has no forecasts of next days: train it with NEXT_DAY true first.")
    won = scores["next_day"]
    bands = won.get("interval", QUANTILE_TREES)  # older trainings did not note it
    return Recipe(won["champion"], int(model.manifest["parameters"]["NEXT_DAY_ROWS"]), bands)


def describe(forecasts: pd.DataFrame, model: str) -> pd.DataFrame:
    """Forecasts of the past as rows of the diary, columns as FORECASTS: made at the end of the evening before."""
    made_at = (find_closes_before(forecasts["date"]) + SETTLE).dt.as_unit("us")
    rows = forecasts.assign(made_at=made_at, model=model, replay=True, late=False)[FORECASTS.names]
    ordered: pd.DataFrame = rows.sort_values(["date", "symbol"], kind="stable", ignore_index=True)
    return ordered


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


def renew_record(run: RunFolder, model: Version, scores: pd.DataFrame) -> None:
    """Publish the model once more, with the track record as it is now."""
    draft = run.open_draft("model")
    for file in model.manifest["files"]:
        (draft.path / file["name"]).write_bytes((model.path / file["name"]).read_bytes())
    write_record(draft.path, scores)
    manifest = model.manifest
    extra = {"model": manifest["model"]}
    draft.publish(parameters=manifest["parameters"], inputs=manifest["inputs"], extra=extra)
