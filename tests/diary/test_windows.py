"""The track record of a long diary: which sessions its windows, its doubts and a symbol's page are made of."""

import json
from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from pipeline.datasets.contract import SCORES
from pipeline.diary.keeping import find_begin
from pipeline.diary.record import FILE, LINES, write_record
from pipeline.diary.sessions import find_closes_before
from tests.diary.evenings import list_sessions

DAYS = list_sessions(date(2020, 1, 2), 300)


def score(days: list[date], good: bool, replay: bool = False, symbol: str = "A") -> pd.DataFrame:
    """A score a day of forecasts that hit (four of five inside), or that miss and err more than naive."""
    rows = [
        {"symbol": symbol, "date": day, "replay": replay, "volume": 900 - number, "low": 50, "high": 150, "naive": 120}
        | {"actual": 100, "error": 5 if good else 40, "naive_error": 20, "inside": good and number % 5 > 0}
        for number, day in enumerate(days)
    ]
    made = {"made_at": pd.Timestamp("2020-01-01", tz="UTC"), "model": "m"}
    return pd.DataFrame(rows).assign(**made)[SCORES.names]


def read_record(folder: Path, *scores: pd.DataFrame) -> dict:
    write_record(folder, pd.concat(scores, ignore_index=True))
    return json.loads((folder / FILE).read_text())


def test_each_window_holds_its_last_sessions(tmp_path):
    live = read_record(tmp_path, score(DAYS[:280], False), score(DAYS[280:], True))["live"]
    told = {length: (one["sessions"], one["from"], one["to"]) for length, one in live["windows"].items()}
    assert told == {str(n): (n, str(DAYS[-n]), str(DAYS[-1])) for n in (20, 60, 250)}
    assert [one["coverage"] for one in live["windows"].values()] == [0.8, round(16 / 60, 4), round(16 / 250, 4)]
    assert live["windows"]["20"]["skill"] == 0.75
    assert (live["sessions"], len(live["days"]), live["days"][0]["date"]) == (300, 250, str(DAYS[-250]))


@pytest.mark.parametrize(
    ("bad", "good", "doubts"),
    [
        (100, 60, 0),  # what was bad before the last sixty sessions is over
        (0, 61, 0),
        (60, 0, 2),
        (59, 200, 0),
    ],
)
def test_a_doubt_speaks_of_the_last_sixty_sessions(tmp_path, bad, good, doubts):
    spans = (DAYS[:bad], False), (DAYS[bad : bad + good], True)
    scores = [score(days, hit) for days, hit in spans if days]
    told = read_record(tmp_path, *scores)["doubts"]
    assert len(told) == doubts
    assert all("over the last 60 sessions" in one for one in told)


@pytest.mark.parametrize(("sessions", "doubts"), [(19, 0), (20, 2)])
def test_a_live_record_is_judged_from_its_twentieth_session_on(tmp_path, sessions, doubts):
    assert len(read_record(tmp_path, score(DAYS[:sessions], False))["doubts"]) == doubts


def test_a_bad_replay_is_no_doubt(tmp_path):
    record = read_record(tmp_path, score(DAYS[:60], False, replay=True))
    assert (record["live"], record["doubts"], record["replay"]["sessions"]) == (None, [], 60)


def test_a_symbol_shows_its_last_twenty_sessions_and_live_ones_before_replayed_ones(tmp_path):
    live, past = [score(DAYS[100:130], True), score(DAYS[:9], True, symbol="0")], score(DAYS[:100], True, replay=True)
    read_record(tmp_path, past, *live, score(DAYS[:30], True, replay=True, symbol="B"))
    lines = {one["symbol"]: one for one in map(json.loads, (tmp_path / LINES).read_text().splitlines())}
    assert list(lines) == ["0", "A", "B"]
    assert (lines["A"]["dates"], lines["A"]["replay"]) == ([str(day) for day in DAYS[110:130]], False)
    assert lines["A"]["volume"] == [900 - number for number in range(10, 30)]
    assert (lines["B"]["dates"], lines["B"]["replay"]) == ([str(day) for day in DAYS[10:30]], True)


def test_where_naive_never_errs_there_is_no_skill_to_tell(tmp_path):
    same = score(DAYS[:30], True).assign(naive_error=0)
    assert read_record(tmp_path, same)["live"]["windows"]["20"]["skill"] == 0


def test_a_replay_of_long_ago_is_remembered_beside_live_forecasts():
    late = {"date": date(2030, 1, 7), "replay": True, "late": True}  # never scored, so it asks for nothing
    rows = [{"date": date(2020, 6, 1), "replay": True, "late": False}, late]
    rows += [{"date": day, "replay": False, "late": False} for day in (date(2022, 6, 1), date(2021, 1, 4))]
    assert find_begin(pd.DataFrame(rows)) == date(2019, 4, 28)
    assert find_begin(pd.DataFrame(rows[2:])) == date(2021, 4, 27)


def test_the_session_before_a_new_year_is_of_the_old_one():
    days = pd.Series([date(2021, 1, 4), date(2021, 11, 29), date(2021, 12, 31)])
    told = [str(close) for close in find_closes_before(days)]
    assert told == ["2020-12-31 21:00:00+00:00", "2021-11-26 18:00:00+00:00", "2021-12-30 21:00:00+00:00"]
    assert find_closes_before(days[:1]).tolist() == find_closes_before(days).tolist()[:1]
