"""What a training does for the diary: score the forecasts whose day has come, and note those that it publishes."""

from datetime import date, timedelta
from pathlib import Path

import pandas as pd

from pipeline.clock import Clock, read_clock
from pipeline.datasets.contract import FORECASTS, SCORES
from pipeline.datasets.run_folder import RunFolder
from pipeline.datasets.store import Version
from pipeline.diary.adding import add_rows, hold_diary, read_rows
from pipeline.diary.entries import read_entries, to_table
from pipeline.diary.record import write_record
from pipeline.diary.scoring import KEY, choose_counting, drop_known, read_actual, score_forecasts
from pipeline.diary.shares import find_ratios, read_known, turn_back
from pipeline.errors import InputError

REMEMBERED = timedelta(days=400)  # of the calendar, which hold 250 sessions. No forecast waits longer for its day's row


def keep_score(run: RunFolder, features: Version, bundle: Path) -> None:
    """Score the forecasts whose day `features` has, and write the track record into a bundle that will be published.

    A diary that cannot be read is told in the record, and stops no model. Raises LockedError if this process has no
    right to publish.
    """
    try:
        with hold_diary(run):
            scores = score_due(run, features, find_readable(run))
    except InputError as error:
        write_record(bundle, pd.DataFrame(columns=SCORES.names), str(error))
    else:
        write_record(bundle, scores)


def find_readable(run: RunFolder) -> Version | None:
    """The model that is current; None for a damaged one, in whose place another is being trained."""
    try:
        return run.find("model")
    except InputError:
        return None


def score_due(run: RunFolder, features: Version, model: Version | None = None) -> pd.DataFrame:
    """Score what can be scored, add it to `scores`, and return the scores of the last REMEMBERED days. For the holder
    of the diary.

    model: the one whose forecasts have come, which knows in which shares they were told; None where these are of
    `features` itself.
    """
    since = find_begin(read_all(run, "forecasts", ["date", "replay", "late"]))
    scores = read_all(run, "scores", SCORES.names, since)
    forecasts = read_all(run, "forecasts", FORECASTS.names, since)
    due = drop_known(choose_counting(forecasts), scores)
    if due.empty:
        return scores
    known = read_known(model, set(due["symbol"]))
    actual = read_actual(features, pd.concat([due["date"], known["date"]]))
    fresh = score_forecasts(due, turn_back(actual, find_ratios(known, actual)))
    if fresh.empty:
        return scores
    add_rows(run, "scores", to_table(fresh, SCORES), SCORES)
    return fresh if scores.empty else pd.concat([scores, fresh], ignore_index=True)


def find_begin(forecasts: pd.DataFrame) -> date:
    """The day from which on forecasts are scored and remembered: REMEMBERED before the newest one of its kind."""
    newest = forecasts[~forecasts["late"]].groupby("replay")["date"].max()
    begin: date = newest.min() - REMEMBERED if len(newest) else date.min
    return begin


def note_forecasts(run: RunFolder, model: Version, clock: Clock | None = None) -> int:
    """Add the forecasts of a published model to the diary. Returns how many of them were made before their day's open.

    A forecast that comes too late is noted once for its symbol and day. Raises InputError if the diary is damaged,
    LockedError if this process has no right to publish.
    """
    entries = read_entries(model.path, model.id, clock or read_clock())
    in_time = int((~entries["late"]).sum())
    with hold_diary(run):
        if in_time < len(entries):
            late = drop_known(entries[entries["late"]], read_all(run, "forecasts", KEY))
            entries = pd.concat([entries[~entries["late"]], late])
        if len(entries):
            add_rows(run, "forecasts", to_table(entries, FORECASTS), FORECASTS)
    return in_time


def read_all(run: RunFolder, dataset: str, columns: list[str], since: date = date.min) -> pd.DataFrame:
    """The rows of a dataset of the diary, of forecasts for a day from `since` on; none where it is not there."""
    table = read_rows(run, dataset, columns, [("date", ">=", since)] if since > date.min else None)
    if table is None:
        schema = SCORES if dataset == "scores" else FORECASTS
        table = schema.empty_table().select(columns)
    rows: pd.DataFrame = table.to_pandas(date_as_object=True)
    return rows
