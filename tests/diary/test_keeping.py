"""The diary over many evenings: what is kept, what counts, what is scored, and what nobody can change."""

import json
import multiprocessing
import random
import time as clocks
from datetime import date, datetime, time

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from pipeline.clock import Clock
from pipeline.datasets.contract import FORECASTS
from pipeline.datasets.lock import TOKEN_VARIABLE, hold_run
from pipeline.datasets.parts import Written
from pipeline.datasets.run_folder import RunFolder
from pipeline.datasets.store import Draft, Version
from pipeline.diary import adding
from pipeline.diary.adding import add_rows, hold_diary
from pipeline.diary.keeping import keep_score, note_forecasts, read_all
from pipeline.diary.record import FILE, LINES
from pipeline.environment import set_variables
from pipeline.errors import InputError, LockedError
from tests.diary.evenings import NEW_YORK, Evenings, evening, list_sessions, make_volumes

DAYS = list_sessions(date(2021, 2, 1), 30)
FORK = multiprocessing.get_context("fork")


@pytest.fixture
def market(tmp_path) -> Evenings:
    return Evenings(tmp_path, make_volumes(["A", "B", "C"], DAYS))


def guess(market: Evenings, place: int, factor: float = 1.1) -> dict:
    """Each symbol's Volume of today, times a factor, for the session after it."""
    today, tomorrow = DAYS[place], DAYS[place + 1]
    volumes = {symbol: int(days[today] * factor) for symbol, days in market.volumes.items() if today in days}
    return {symbol: (tomorrow, volume, volume // 2, volume * 2) for symbol, volume in volumes.items()}


def live(market: Evenings, places: range) -> None:
    for place in places:
        market.train(DAYS[place], guess(market, place), evening(DAYS[place]))


def test_scores_are_what_somebody_else_computes(market):
    live(market, range(6, 28))
    scores = market.read("scores")
    assert len(scores) == 3 * 21  # the last evening's day has not come
    for row in scores.itertuples():
        before = DAYS[DAYS.index(row.date) - 1]
        past = [market.volumes[row.symbol][day] for day in DAYS if day <= before][-5:]
        naive = round(np.exp(np.mean(np.log1p(past))) - 1)
        actual, volume = market.volumes[row.symbol][row.date], int(market.volumes[row.symbol][before] * 1.1)
        assert (row.volume, row.actual, row.naive) == (volume, actual, naive)
        assert (row.error, row.naive_error) == (abs(volume - actual), abs(naive - actual))
        assert row.inside == (volume // 2 <= actual <= volume * 2)
        assert not row.replay
    record = market.read_record()
    assert record["replay"] is None
    assert {name: window["sessions"] for name, window in record["live"]["windows"].items()} == {
        "20": 20, "60": 21, "250": 21,
    }  # fmt: skip
    last = scores[scores["date"] >= DAYS[8]]
    window = record["live"]["windows"]["20"]
    assert window["skill"] == round(1 - last["error"].sum() / last["naive_error"].sum(), 4)
    assert window["coverage"] == round(last["inside"].mean(), 4)
    lines = (market.run.current("model").path / LINES).read_text().splitlines()
    assert [json.loads(line)["symbol"] for line in lines] == ["A", "B", "C"]
    assert json.loads(lines[0])["actual"] == [market.volumes["A"][day] for day in DAYS[8:28]]


def test_a_forecast_after_the_open_is_kept_once_and_never_scored(market):
    morning = [evening(DAYS[11], time(9, minute)) for minute in (29, 30, 31)]
    for clock in morning:
        market.train(DAYS[10], guess(market, 10), clock)
    forecasts = market.read("forecasts")
    assert forecasts["late"].tolist() == [False] * 3 + [True] * 0
    late = Evenings(market.run.path / "late", market.volumes)
    for clock in morning[1:]:
        late.train(DAYS[10], guess(market, 10), clock)
    assert late.read("forecasts")["late"].tolist() == [True] * 3
    late.train(DAYS[11], guess(market, 11), evening(DAYS[11]))
    assert late.run.find("scores") is None


def test_the_ends_of_an_interval_lie_in_it_and_the_naive_answer_is_the_published_one(tmp_path):
    """Of a symbol that is hardly traded the Volume is often 0, and so is the low end."""
    today, tomorrow = DAYS[:2]
    market = Evenings(tmp_path, {name: {today: 1_000, tomorrow: actual} for name, actual in (("A", 0), ("B", 900))})
    forecasts = {"A": (tomorrow, 400, 0, 900, 77), "B": (tomorrow, 400, 0, 900, 78)}
    market.train(today, forecasts, evening(today))
    market.train(tomorrow, {}, evening(tomorrow))
    scores = market.read("scores")
    assert scores["inside"].all() and scores["naive"].tolist() == [77, 78]
    assert scores["naive_error"].tolist() == [77, 822]


def test_on_a_half_day_and_in_summer_the_open_is_that_of_new_york(tmp_path):
    days = list_sessions(date(2021, 11, 22), 6)
    market = Evenings(tmp_path, {"A": dict.fromkeys(days, 1_000)})
    thanksgiving = days[3]  # the session after it is a half day
    assert thanksgiving == date(2021, 11, 26)
    market.train(
        days[2], {"A": (thanksgiving, 900, 800, 1_100)}, Clock(datetime(2021, 11, 26, 14, 29, tzinfo=NEW_YORK))
    )
    assert market.read("forecasts")["late"].tolist() == [True]  # 14:29 in New York is after the open


def test_of_several_the_last_before_the_open_counts(market):
    for factor, clock in (
        (2.0, evening(DAYS[11], time(9, 0))),
        (3.0, evening(DAYS[10])),  # made before, noted after
        (1.0, evening(DAYS[11], time(9, 40))),
    ):
        market.train(DAYS[10], guess(market, 10, factor), clock)
    market.train(DAYS[11], {}, evening(DAYS[11]))
    scores = market.read("scores").set_index("symbol")
    assert len(scores) == 3
    assert scores["volume"].to_dict() == {s: int(days[DAYS[10]] * 2.0) for s, days in market.volumes.items()}


def test_a_day_is_scored_once_by_what_was_known_then(market):
    live(market, range(6, 9))
    first = market.read("scores")
    for days in market.volumes.values():  # a split: all earlier days are told in other shares
        days.update({day: 4 * volume for day, volume in days.items() if day <= DAYS[8]})
    live(market, range(9, 11))
    pd.testing.assert_frame_equal(market.read("scores").head(len(first)), first)


def test_a_day_without_a_row_is_scored_when_it_comes(market):
    volume = market.volumes["B"].pop(DAYS[11])
    live(market, range(10, 13))
    assert set(market.read("scores").loc[lambda rows: rows["date"] == DAYS[11], "symbol"]) == {"A", "C"}
    market.volumes["B"][DAYS[11]] = volume
    live(market, range(13, 14))
    scores = market.read("scores").set_index(["symbol", "date"])
    assert scores.loc[("B", DAYS[11]), "actual"] == volume
    assert not scores.index.duplicated().any()


def test_no_row_is_ever_changed_and_two_manifests_prove_it(market):
    live(market, range(6, 8))
    before = {name: market.run.find(name) for name in ("forecasts", "scores")}
    live(market, range(8, 12))
    for name, old in before.items():
        files = market.run.find(name).manifest["files"]
        assert files[: len(old.manifest["files"])] == old.manifest["files"]
        assert len(files) > len(old.manifest["files"])
    market.run.prune_versions(keep=1)
    assert len(market.read("forecasts")) == 3 * 6


def test_what_another_clock_makes_is_a_replay_and_never_counted_together(market):
    clock = Clock(evening(DAYS[10]).now, is_real=False)
    market.train(DAYS[10], guess(market, 10, 5.0), clock)
    market.train(DAYS[10], guess(market, 10), evening(DAYS[10]))
    market.train(DAYS[11], {}, evening(DAYS[11]))
    scores = market.read("scores")
    assert sorted(scores["replay"]) == [False] * 3 + [True] * 3
    record = market.read_record()
    for kind, replay in (("live", False), ("replay", True)):
        rows = scores[scores["replay"] == replay]
        assert record[kind]["windows"]["20"]["mae"] == round(rows["error"].mean(), 2)
    lines = [json.loads(line) for line in (market.run.current("model").path / LINES).read_text().splitlines()]
    assert not any(line["replay"] for line in lines)


@pytest.mark.parametrize(
    ("low", "high", "factor", "words"),
    [
        (0.0, 99.0, 1.0, "lay in their 80% interval"),
        (1.0, 1.0, 1.0, "0.0% of the days"),
        (0.0, 99.0, 40.0, "worse than the naive"),
    ],
)
def test_a_bad_live_record_is_a_doubt(market, low, high, factor, words):
    for place in range(5, 28):
        today = {symbol: int(days[DAYS[place]] * factor) for symbol, days in market.volumes.items()}
        told = {symbol: (DAYS[place + 1], v, int(v * low), int(v * high)) for symbol, v in today.items()}
        market.train(DAYS[place], told, evening(DAYS[place]))
    assert words in " ".join(market.read_record()["doubts"])


def test_a_short_live_record_is_not_judged(market):
    for place in range(6, 20):
        told = dict.fromkeys(market.volumes, (DAYS[place + 1], 1, 1, 1))
        market.train(DAYS[place], told, evening(DAYS[place]))
    assert market.read_record()["doubts"] == []


@pytest.mark.parametrize("dataset", ["forecasts", "scores"])
def test_damage_is_told_and_stops_no_model(market, dataset):
    live(market, range(6, 9))
    part = market.run.find(dataset).files[0]
    data = part.read_bytes()
    part.unlink()  # the old versions share its bytes
    part.write_bytes(data[: len(data) // 2])
    draft = market.run.open_draft("model")
    keep_score(market.run, market.publish_features(DAYS[9]), draft.path)
    record = json.loads((draft.path / FILE).read_text())
    assert str(part.parent) in record["doubts"][0] and record["live"] is None


def test_a_damaged_diary_takes_no_more_rows(market):
    live(market, range(6, 9))
    model, version = market.run.current("model"), market.run.find("forecasts")
    part = version.files[0]
    data = part.read_bytes()
    part.unlink()
    part.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(InputError, match=r"its checksum differs.*CURRENT"):
        note_forecasts(market.run, model, evening(DAYS[8]))
    assert market.run.find("forecasts").path == version.path


def test_nothing_is_added_while_a_run_holds_the_folder(market):
    live(market, range(6, 8))
    model = market.run.current("model")
    with hold_run(market.run.path), set_variables({TOKEN_VARIABLE: "another run's"}), pytest.raises(LockedError):
        note_forecasts(market.run, model, evening(DAYS[7]))
    assert len(market.read("forecasts")) == 6


def add_many(path, number: int) -> None:
    run = RunFolder(path)
    rows = run.find("forecasts")
    table = pd.read_parquet(rows.files[0]).head(1).assign(symbol=f"N{number}")
    for _ in range(4):
        with hold_diary(run):
            add_rows(run, "forecasts", pa.Table.from_pandas(table, FORECASTS, preserve_index=False), FORECASTS)


def test_four_who_add_at_once_lose_no_row(market):
    live(market, range(6, 7))
    workers = [FORK.Process(target=add_many, args=(market.run.path, number)) for number in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    counts = market.read("forecasts")["symbol"].value_counts()
    assert {name: counts[name] for name in ("N0", "N1", "N2", "N3")} == dict.fromkeys(("N0", "N1", "N2", "N3"), 4)


def note_slowly(market: Evenings, model: Version, clock: Clock) -> None:
    """Note forecasts, with a rest between reading the diary and adding to it."""
    keep = adding.keep_parts

    def keep_at_leisure(before: Version, draft: Draft) -> list[Written]:
        clocks.sleep(0.3)
        return keep(before, draft)

    adding.keep_parts = keep_at_leisure
    note_forecasts(market.run, model, clock)


def test_two_trainings_that_note_at_once_lose_no_forecast(market):
    live(market, range(6, 7))
    models = [market.publish_model(DAYS[7], guess(market, 7, factor)) for factor in (1.0, 2.0)]
    workers = [FORK.Process(target=note_slowly, args=(market, model, evening(DAYS[7]))) for model in models]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0]
    noted = market.read("forecasts")["model"].value_counts()
    assert {model.id: noted.get(model.id) for model in models} == {model.id: 3 for model in models}


def test_a_kill_at_any_moment_loses_no_row_and_doubles_none(market):
    chance = random.Random(4)
    for place in range(6, 18):
        victim = FORK.Process(target=live, args=(market, range(place, place + 1)))
        victim.start()
        clocks.sleep(chance.uniform(0, 0.15))
        victim.kill()
        victim.join()
        market.run.restore_pointers()
        market.run.clear_leftovers()
        live(market, range(place, place + 1))  # the next run goes on
    scores = market.read("scores")
    assert not scores.duplicated(["replay", "symbol", "date"]).any()
    assert set(scores["date"]) == set(DAYS[7:18])
    assert not list((market.run.path / "forecasts").glob(".draft*"))


def test_an_empty_diary_reads_as_nothing(tmp_path):
    assert read_all(RunFolder(tmp_path), "scores", ["date"]).empty


@pytest.mark.parametrize(("ratio", "away"), [(4.0, 1), (0.1, 1), (1.5, 1), (4.0, 8)])
def test_a_split_before_its_day_is_scored_makes_no_miss(market, ratio, away):
    """Of this morning, or of a month ago for somebody who comes back: all earlier days are told in other shares."""
    live(market, range(20, 21))
    told = {symbol: dict(days) for symbol, days in market.volumes.items()}
    market.volumes["A"] = {day: int(volume * ratio) for day, volume in told["A"].items()}
    live(market, range(20 + away, 21 + away))
    scores = market.read("scores").set_index("symbol")
    assert list(scores.index) == ["A", "B", "C"] and set(scores["date"]) == {DAYS[21]}
    for symbol, days in told.items():
        assert scores.loc[symbol, "actual"] == pytest.approx(days[DAYS[21]], abs=round(1 + 1 / ratio))
        assert scores.loc[symbol, "volume"] == int(days[DAYS[20]] * 1.1)
    if away == 1:  # the next one was made after it
        live(market, range(22, 23))
        row = market.read("scores").set_index(["symbol", "date"]).loc[("A", DAYS[22])]
        assert row["actual"] == market.volumes["A"][DAYS[22]]


def test_corrected_volumes_are_no_split(market):
    live(market, range(20, 21))
    days = market.volumes["A"]
    days.update({day: days[day] * 7 for day in DAYS[18:21]} | {DAYS[0]: 1})
    market.volumes["B"] = {day: volume * 109 // 100 for day, volume in market.volumes["B"].items()}
    live(market, range(21, 22))
    actual = market.read("scores").set_index("symbol")["actual"]
    assert actual.to_dict() == {symbol: days[DAYS[21]] for symbol, days in market.volumes.items()}


def test_a_damaged_model_hinders_no_score(market):
    live(market, range(20, 21))
    path = market.run.current("model").path / "symbols.jsonl"
    path.write_text(path.read_text()[:-9])
    live(market, range(21, 22))
    assert len(market.read("scores")) == 3


def test_a_symbol_that_has_ended_is_noted_once(market):
    market.volumes["B"] = {day: volume for day, volume in market.volumes["B"].items() if day <= DAYS[7]}
    for place in range(6, 12):
        last = {symbol: max(day for day in days if day <= DAYS[place]) for symbol, days in market.volumes.items()}
        told = {symbol: (DAYS[DAYS.index(day) + 1], 900, 400, 1_600) for symbol, day in last.items()}
        market.train(DAYS[place], told, evening(DAYS[place]))
    noted = market.read("forecasts")
    assert noted.loc[noted["symbol"] == "B", "date"].tolist() == [DAYS[7], DAYS[8]]
    assert (noted["symbol"] == "A").sum() == 6


def test_after_a_year_away_nothing_is_scored_again(tmp_path):
    days = [*list_sessions(date(2019, 1, 2), 12), *list_sessions(date(2021, 2, 1), 3)]
    market = Evenings(tmp_path, make_volumes(["A"], days))
    for today, tomorrow in zip(days[9:-1], days[10:], strict=True):
        market.train(today, {"A": (tomorrow, 900, 400, 1_600)}, evening(today))
    market.train(days[-1], {}, evening(days[-1]))
    assert market.read("scores")["date"].tolist() == days[10:]
