"""The forecasts that a model publishes, as rows of the diary."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from pipeline.clock import Clock
from pipeline.datasets.contract import FORECASTS
from pipeline.datasets.places import Place
from pipeline.diary.sessions import find_opens

FILE = "symbols.jsonl"  # as next_day.forecasts writes it
NAIVE_ROWS = 5


def read_entries(bundle: Place, model: str, clock: Clock) -> pd.DataFrame:
    """The forecasts in a bundle's folder: a row a symbol, columns as FORECASTS. They are a replay if the clock is not
    the machine's own.
    """
    rows = [describe(json.loads(line)) for line in (bundle / FILE).read_bytes().splitlines()]
    made_at = pd.Timestamp(clock.now).tz_convert("UTC").as_unit("us")
    entries = pd.DataFrame(rows, columns=["symbol", "date", "volume", "low", "high", "naive"])
    entries["date"] = pd.to_datetime(entries["date"]).dt.date
    entries = entries.assign(made_at=made_at, model=model, replay=not clock.is_real, late=False)
    if len(entries):
        entries["late"] = made_at >= find_opens(entries["date"])
    ordered: pd.DataFrame = entries.loc[:, FORECASTS.names]
    return ordered


def describe(line: dict[str, Any]) -> tuple[str, str, int, int, int, int]:
    last = np.log1p(np.array(line["recent"]["volume"][-NAIVE_ROWS:], float))
    naive = line.get("naive", int(np.rint(np.expm1(last.mean()))))
    return line["symbol"], line["date"], line["volume"], line["low"], line["high"], naive


def to_table(rows: pd.DataFrame, schema: pa.Schema) -> pa.Table:
    return pa.Table.from_pandas(rows[schema.names], schema=schema, preserve_index=False)
