"""A small market evening by evening: `features` with known Volumes, models that forecast them, and a clock."""

import json
from datetime import date, datetime, time
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa

from pipeline.clock import Clock
from pipeline.datasets.contract import FEATURES
from pipeline.datasets.parts import keep_attempts, write_attempt
from pipeline.datasets.run_folder import RunFolder
from pipeline.datasets.store import Version
from pipeline.diary.keeping import keep_score, note_forecasts
from pipeline.diary.record import FILE
from pipeline.diary.sessions import find_opens

NEW_YORK = ZoneInfo("America/New_York")


def list_sessions(first: date, count: int) -> list[date]:
    """Sessions of New York from a day on: those whose open is on the day itself."""
    days = pd.Series(pd.bdate_range(first, periods=2 * count).date)
    return [day for day, opens in zip(days, find_opens(days), strict=True) if opens.date() == day][:count]


def evening(day: date, at: time = time(20, 15)) -> Clock:
    return Clock(datetime.combine(day, at, NEW_YORK))


class Evenings:
    """A run folder whose models forecast what `forecast` says. volumes: symbol -> day -> Volume, the truth."""

    def __init__(self, home: Path, volumes: dict[str, dict[date, int]]) -> None:
        self.run, self.volumes = RunFolder(home), volumes

    def publish_features(self, until: date) -> Version:
        rows = [(symbol, day, v) for symbol, days in self.volumes.items() for day, v in days.items() if day <= until]
        frame = pd.DataFrame(rows, columns=["Symbol", "Date", "Volume"])
        empty = {name: 1.0 for name in FEATURES.names if name not in ("Symbol", "Date", "Volume", "Security Name")}
        table = pa.Table.from_pandas(
            frame.assign(**empty, **{"Security Name": None})[FEATURES.names], FEATURES, preserve_index=False
        )
        draft = self.run.open_draft("features")
        parts = keep_attempts(draft.path, [write_attempt(table, draft.path)])
        return draft.publish(parts, parameters={}, inputs={}, schema=FEATURES)

    def train(self, day: date, forecasts: dict[str, tuple], clock: Clock) -> Version:
        """What 03_train does for the diary: score what has come, publish, note. forecasts: symbol -> day, volume, low,
        high, and the naive answer where the model tells it.
        """
        published = self.publish_model(day, forecasts)
        note_forecasts(self.run, published, clock)
        return published

    def publish_model(self, day: date, forecasts: dict[str, tuple]) -> Version:
        """A model of an evening, whose forecasts nobody has noted yet."""
        features = self.publish_features(day)
        draft = self.run.open_draft("model")
        lines = []
        for symbol, (when, *numbers) in forecasts.items():
            known = {str(other): volume for other, volume in sorted(self.volumes[symbol].items()) if other <= day}
            recent = {"dates": list(known), "volume": list(known.values())}
            numbers = dict(zip(("volume", "low", "high", "naive"), numbers, strict=False))
            lines.append(json.dumps({"symbol": symbol, "date": str(when), **numbers, "recent": recent}))
        (draft.path / "symbols.jsonl").write_text("".join(f"{line}\n" for line in lines))
        keep_score(self.run, features, draft.path)
        return draft.publish(parameters={}, inputs={"features": features.id})

    def read(self, dataset: str) -> pd.DataFrame:
        version = self.run.find(dataset)
        return pd.concat([pd.read_parquet(path) for path in version.files], ignore_index=True)

    def read_record(self) -> dict:
        return json.loads((self.run.current("model").path / FILE).read_text())


def make_volumes(symbols: list[str], days: list[date], seed: int = 1) -> dict[str, dict[date, int]]:
    chance = np.random.default_rng(seed)
    return {symbol: {day: int(chance.lognormal(12, 0.5)) for day in days} for symbol in symbols}
