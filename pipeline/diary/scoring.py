"""Which forecasts count, and how they did.

Made after its day's open, a forecast is recorded and never scored. Of several for the same symbol and day, the last one
that was made before the open counts. It is scored once, with the day's Volume as the run found it: a later correction
changes nothing, and a later split, after which all earlier volumes are told in other shares, spoils nothing. (After a
split between forecast and score, what came is told in the forecast's shares: see diary.shares.) A day without a row, as
where a symbol was halted or has ended, is not scored. Replayed forecasts compete with replayed ones alone.
"""

from datetime import date

import pandas as pd

from pipeline.datasets.contract import SCORES
from pipeline.datasets.places import read_table
from pipeline.datasets.store import Version

KEY = ["replay", "symbol", "date"]


def choose_counting(forecasts: pd.DataFrame) -> pd.DataFrame:
    """The forecasts that count: one for each replay, symbol and date. forecasts: in the order in which they came."""
    in_time = forecasts[~forecasts["late"]]
    last: pd.DataFrame = in_time.sort_values("made_at", kind="stable").drop_duplicates(KEY, keep="last").sort_index()
    return last


def drop_known(rows: pd.DataFrame, known: pd.DataFrame) -> pd.DataFrame:
    """The rows whose KEY is not among those of `known`."""
    keys = pd.MultiIndex.from_frame(rows[KEY])
    return rows[~keys.isin(pd.MultiIndex.from_frame(known[KEY]))]


def read_actual(features: Version, days: "pd.Series[date]") -> pd.DataFrame:
    """Symbol, date and Volume (as `actual`) of the days from the first to the last of these."""
    filters = [("Date", ">=", days.min()), ("Date", "<=", days.max())]
    table = read_table(features.files, ["Symbol", "Date", "Volume"], filters=filters)
    rows: pd.DataFrame = table.rename_columns(["symbol", "date", "actual"]).to_pandas(date_as_object=True)
    return rows.astype({"symbol": str})


def score_forecasts(forecasts: pd.DataFrame, actual: pd.DataFrame) -> pd.DataFrame:
    """A row a forecast whose day is among the actual ones, columns as SCORES."""
    scored = forecasts.merge(actual, on=["symbol", "date"])
    scored["error"] = (scored["volume"] - scored["actual"]).abs()
    scored["naive_error"] = (scored["naive"] - scored["actual"]).abs()
    scored["inside"] = scored["actual"].between(scored["low"], scored["high"])
    ordered: pd.DataFrame = scored.loc[:, SCORES.names]
    return ordered
