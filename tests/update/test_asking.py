"""Whom an update asks, how often, and when it stops; NASDAQ's directory and the ledger."""

import json
from contextlib import nullcontext
from datetime import date, timedelta

import pytest

from pipeline.errors import InputError, QualityError
from pipeline.ingest.source import open_source
from pipeline.update.bars import format_bars
from pipeline.update.folder import MarketFolder, hold_folder
from pipeline.update.ledger import Entry, open_ledger, read_entries, read_ledger
from tests.update.market import read_folder, rows_until, states
from tests.update.stand_in import Security, StandIn, evening


@pytest.mark.parametrize("fault", ["reset", "html", "cut", "null", "unwell", "503"])
def test_a_bad_answer_is_asked_for_once_more_and_then_told(open_market, real_bars, days, fault):
    market = open_market([Security(name, real_bars[0]) for name in "ABC"], days[-4])
    before = market.read("B")
    market.state.faults = {"A": [fault], "B": [fault] * 3}  # curl by itself asks again after a reset, once
    result = market.update(days[-1])
    assert states(result) == {"A": "appended", "B": "failed", "C": "appended"}
    assert market.read("B") == before
    assert result.entries["B"].through == ""  # nothing was read of it yet
    result.check()
    market.state.faults.clear()
    market.update()
    assert market.state.log == ["B"]
    assert market.read("B") == format_bars(real_bars[0])


def test_a_refusal_slows_the_asking_down(open_market, real_bars, days):
    market = open_market([Security(name, real_bars[0]) for name in "ABC"], days[-4])
    market.state.refusals = 2
    result = market.update(days[-1])
    assert not result.stale
    assert market.state.log == ["A", "A", "A", "B", "C"]
    assert sum("Waiting for" in line for line in market.told) == 2


def test_refusals_stop_the_asking_and_the_next_call_goes_on(open_market, real_bars, days):
    market = open_market([Security(name, real_bars[0]) for name in "ABCDE"], days[-4])
    market.update(days[-1], symbols=["A", "B"])
    market.state.refusals = 10**6
    result = market.update(days[-1])
    assert market.state.log == ["C", "C", "C"]
    assert states(result) == {"A": "appended", "B": "appended", "C": "refused", "D": "", "E": ""}
    with pytest.raises(InputError, match="refused 3 times"):
        result.check()
    market.state.refusals = 0
    result = market.update()
    assert market.state.log == ["C", "D", "E"]
    assert not result.stale


def test_refusals_after_some_answers_leave_too_many_stale(open_market, real_bars, days):
    market = open_market([Security(name, real_bars[0]) for name in "ABCDEF"], days[-4])
    market.state.faults = {"B": ["refuse"] * 3}
    result = market.update(days[-1])
    assert market.state.log == ["A", "B", "B", "B"]
    with pytest.raises(QualityError, match="goes on where it stopped"):
        result.check()


def test_nothing_reachable_ends_the_asking_soon(open_market, real_bars, days, monkeypatch):
    market = open_market([Security(name, real_bars[0]) for name in "ABCDEFGH"], days[-4])
    monkeypatch.setenv("YAHOO_URL", "http://127.0.0.1:9")
    result = market.update(days[-1])
    assert list(states(result).values()) == ["failed"] * 5 + [""] * 3
    with pytest.raises(InputError, match="cannot be reached"):
        result.check()


def test_nothing_is_asked_twice(open_market, real_bars, days):
    market = open_market([Security("A", real_bars[0])], days[-4])
    market.update(days[-1])
    result = market.update()
    assert (market.state.log, result.asked, states(result)) == ([], 0, {"A": "appended"})
    (market.root / "updates.json").unlink()
    assert states(market.update()) == {"A": "current"}
    assert market.state.log == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "[" * 100_000,
        "\0",
        '{"A": 1}',
        '{"A": {"st',
        '{"A": {"state": ["current"]}}',
        '{"A": {"state": "current", "through": 7}}',
        '{"A": {"state": "behind", "asked": "2013-01-01T00:00:00"}}',
    ],
)
def test_a_damaged_ledger_is_no_ledger(open_market, real_bars, days, text):
    market = open_market([Security("A", real_bars[0])], days[-4])
    for path in ("updates.json", ".update/journal"):
        (market.root / ".update").mkdir(exist_ok=True)
        (market.root / path).write_text(text)
    assert states(market.update(days[-1])) == {"A": "appended"}
    assert json.loads((market.root / "updates.json").read_text())["A"]["through"] == days[-1].isoformat()


def test_a_line_of_the_journal_that_a_kill_cut_short_costs_no_other(tmp_path):
    with hold_folder(tmp_path) as folder:
        (folder.home / "journal").write_text('{"A": {"state": "app')
        with open_ledger(folder) as ledger:
            ledger.put("B", Entry("held", note="why"))
            assert read_entries(tmp_path) == {"B": Entry("held", note="why")}  # what a kill now would leave
    assert read_entries(tmp_path) == {"B": Entry("held", note="why")}


def test_an_empty_folder_begins_with_the_directory(open_market, real_bars, days):
    listed = [Security("A", real_bars[0]), Security("BRK.B", real_bars[1], yahoo="BRK-B")]
    listed += [Security("SPY", real_bars[2], kind="ETF"), Security("^GSPC", real_bars[3], kind="INDEX")]
    market = open_market(listed, days[-1])
    market.root = market.root / "fresh" / "folder"
    result = market.update(full=True)
    assert states(result) == {"A": "new", "BRK.B": "new", "SPY": "new"}
    assert sorted(read_folder(market.root)) == ["etfs/SPY.csv", "stocks/A.csv", "stocks/BRK.B.csv"]
    assert market.read("BRK.B") == format_bars(real_bars[1])
    result = market.update(symbols=["^GSPC", "BRK-B"])
    assert states(result) == {"BRK.B": "new", "^GSPC": "new"}
    assert market.state.log == ["^GSPC"]
    assert (market.root / "etfs" / "^GSPC.csv").exists()
    source = open_source("folder", str(market.root))
    assert source.names["BRK.B"] == "BRK.B Inc."
    ledger = read_ledger(market.root)
    assert list(ledger.columns) == ["symbol", "state", "through", "rows", "added", "note", "asked"]
    assert list(ledger["symbol"]) == ["A", "BRK.B", "SPY", "^GSPC"]


def test_a_file_in_yahoos_spelling_is_not_fetched_twice(open_market, real_bars, days):
    market = open_market([Security("BRK.B", real_bars[1], yahoo="BRK-B")], days[-4])
    (market.root / "stocks" / "BRK.B.csv").rename(market.root / "stocks" / "BRK-B.csv")
    (market.root / "symbols_valid_meta.csv").write_text("NASDAQ Symbol,Security Name\n")
    assert states(market.update(days[-2])) == {"BRK-B": "appended"}
    assert states(market.update(days[-1], symbols=["BRK.B"])) == {"BRK-B": "appended"}
    assert market.state.log == ["BRK-B"]
    assert states(market.update(symbols=["BRK-B"])) == {"BRK-B": "appended"}
    assert list(read_folder(market.root)) == ["stocks/BRK-B.csv"]


def test_an_old_directory_delists_nobody(open_market, real_bars, days):
    dead = Security("A", rows_until(real_bars[0], days[-6]))
    market = open_market([dead, Security("B", real_bars[1])], days[-7])
    market.state.directory = StandIn([Security("B", {})], evening(days[-20])).list_symbols()
    for day in days[-5:]:
        result = market.update(day)
    assert (result.entries["A"].state, result.entries["A"].absences) == ("behind", 0)
    assert "delistings wait for a newer one" in market.told[0]


def test_without_a_directory_a_folder_with_names_goes_on(open_market, real_bars, days, monkeypatch):
    market = open_market([Security("A", real_bars[0])], days[-4])
    market.state.directory = "<html>"
    assert states(market.update(days[-1])) == {"A": "appended"}
    assert any("symbol directory" in line for line in market.told)
    (market.root / "symbols_valid_meta.csv").unlink()
    with pytest.raises(InputError, match="begins with NASDAQ's symbol directory"):
        market.update()


@pytest.mark.parametrize("state", ["missing", "behind"])
def test_delisting_is_recorded_after_three_absences_and_the_file_stays(open_market, real_bars, days, state):
    forgotten = days[-6] if state == "missing" else date.max
    dead = Security("A", rows_until(real_bars[0], days[-8]), gone=days[-7], forgotten=forgotten)
    market = open_market([dead, Security("B", real_bars[1])], days[-10])
    outcomes, notes = [], []
    for day in days[-8:]:
        result = market.update(day)
        market.state.now += timedelta(hours=2)
        market.update()  # the same evening counts once
        outcomes.append(result.entries["A"].state)
        notes.append(result.entries["A"].note)
        result.check()
    assert outcomes == ["appended", "behind", state, state, *["delisted"] * 4]
    assert not result.stale
    assert "lacked it for 2 of the 3 sessions after which it counts as delisted" in notes[3]
    assert "A" not in market.state.log
    assert market.read("A") == format_bars(dead.bars)
    assert open_source("folder", str(market.root)).names["A"] == "A Inc."


def test_a_reused_ticker_keeps_the_name_of_its_rows(open_market, real_bars, days):
    one = Security("A", real_bars[0])
    market = open_market([one, Security("B", real_bars[1])], days[-4])
    metadata = market.root / "symbols_valid_meta.csv"
    metadata.write_text(metadata.read_text().replace("A Inc.", "Old A").replace("B Inc.", "Old B"))
    one.bars = {day: bar for day, bar in one.bars.items() if day >= days[-2]}  # another company's
    market.update(days[-1])
    assert open_source("folder", str(market.root)).names == {"A": "Old A", "B": "B Inc."}


def test_a_listing_that_yahoo_does_not_know_is_asked_for_ever_more_rarely(open_market, real_bars, days):
    market = open_market([Security("A", real_bars[0]), Security("NEW", {})], days[-30])
    asked = []
    for day in days[-29:]:
        result = market.update(day)
        assert not result.stale
        asked.append("NEW" in market.state.log)
    assert asked[0]
    assert 4 <= sum(asked) <= 6


def test_somebody_follows_twenty_symbols(open_market, real_bars, days):
    market = open_market(
        [Security(f"S{number:02}", real_bars[number % len(real_bars)]) for number in range(25)], days[-4]
    )
    followed = [f"S{number:02}" for number in range(20)]
    for day in days[-3:]:
        result = market.update(day, symbols=followed)
        assert sorted(market.state.log) == followed
        assert list(result.entries) == followed
        assert not result.stale
    assert max(market.read("S24").decode().splitlines()[1:])[:10] == days[-4].isoformat()


def test_an_update_that_has_nothing_to_do_touches_nothing(open_market, real_bars, days):
    market = open_market([Security("A", real_bars[0])], days[-4])
    market.update(days[-1])
    before = open_source("folder", str(market.root)).stat_fingerprint
    market.update()
    assert open_source("folder", str(market.root)).stat_fingerprint == before


def test_the_ledger_is_written_once(open_market, real_bars, days, monkeypatch):
    """A journal takes the outcomes meanwhile: to write the ledger anew for each of 8,000 symbols would be quadratic."""
    written = []
    replace = MarketFolder.replace
    monkeypatch.setattr(
        MarketFolder, "replace", lambda folder, path, data: (written.append(path.name), replace(folder, path, data))
    )
    market = open_market([Security(f"S{number}", real_bars[0]) for number in range(12)], days[-4])
    market.update(days[-1])
    assert written.count("updates.json") == 1
    assert len(written) <= 12 + 3


def test_a_stand_in_is_asked_through_no_proxy(open_market, real_bars, days, monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    market = open_market([Security("A", real_bars[0])], days[-4])
    assert states(market.update(days[-1])) == {"A": "appended"}
    assert not any("warning" in line for line in market.told)


def test_a_few_symbols_without_an_answer_are_no_failure_of_the_whole(open_market, real_bars, days):
    market = open_market([Security(name, real_bars[0]) for name in "ABCDE"], days[-4])
    market.state.faults = {"B": ["html"] * 9, "C": ["html"] * 9}
    market.update(days[-1]).check()
    market.update().check()
    assert market.state.log == ["B", "B", "C", "C"]
    with pytest.raises(InputError, match="cannot be reached: JSON"):
        market.update(symbols=["B", "C"]).check()


def test_failures_here_and_there_do_not_end_the_asking(open_market, real_bars, days):
    names = "ABCDEFGHIJKLMN"
    market = open_market([Security(name, real_bars[0]) for name in names], days[-4])
    market.state.faults = {name: ["html"] * 2 for name in names[::2]}
    result = market.update(days[-1])
    assert (result.stopped, result.asked, result.answered) == ("", 14, 7)
    assert set(states(result).values()) == {"appended", "failed"}


def test_a_file_of_which_yahoo_knows_nothing_any_more_is_stale(open_market, real_bars, days):
    """While the directory lists it that is no delisting, and it is asked for every evening."""
    market = open_market([Security("A", real_bars[0], forgotten=days[-2]), Security("B", real_bars[1])], days[-5])
    market.update(days[-3])
    for day in days[-2:]:
        result = market.update(day)
        assert result.entries["A"].state == "missing" and "A" in market.state.log
        assert (result.entries["A"].through, result.entries["A"].rows) == (str(days[-3]), len(real_bars[0]) - 2)
        assert result.stale == ["A"]


def test_an_index_is_in_no_directory_and_never_delisted(open_market, real_bars, days):
    market = open_market([Security("^GSPC", rows_until(real_bars[0], days[-6]), kind="INDEX")], days[-7])
    for day in days[-6:]:
        result = market.update(day)
    assert (result.entries["^GSPC"].state, result.entries["^GSPC"].absences) == ("behind", 0)


def test_a_symbol_that_comes_back_is_asked_for_again(open_market, real_bars, days):
    one = Security("A", rows_until(real_bars[0], days[-9]), gone=days[-9])
    market = open_market([one, Security("B", real_bars[1])], days[-10])
    for day in days[-9:-4]:
        result = market.update(day)
    assert (result.entries["A"].state, market.state.log) == ("delisted", ["B"])
    one.gone, one.bars = date.max, real_bars[0]
    result = market.update(days[-1])
    assert (result.entries["A"].state, result.entries["A"].absences) == ("appended", 0)
    assert market.read("A") == format_bars(real_bars[0])


@pytest.mark.parametrize(("late", "fails"), [(3, False), (4, True)])
def test_one_symbol_in_ten_may_lack_the_last_session(open_market, real_bars, days, late, fails):
    names = [f"S{number:02}" for number in range(30)]
    securities = [
        Security(name, real_bars[0], late={days[-1]} if place < late else set()) for place, name in enumerate(names)
    ]
    result = open_market(securities, days[-2]).update(days[-1])
    assert len(result.stale) == late
    with pytest.raises(QualityError, match="4 of 30 symbols") if fails else nullcontext():
        result.check()


def test_a_refusal_halves_the_rate_and_each_one_in_a_row_doubles_the_pause():
    session = pytest.importorskip("pipeline.update.yahoo").PoliteSession(0.4)
    pauses = []
    for turn in (5, 10, 20):
        session.slow_down()
        assert session.turn == turn
        pauses.append(session.pause)
    assert [round(pause, -1) for pause in pauses] == [150, 600, 2_400]  # seconds
    session.worker.jobs.put(None)
