"""What an update makes of Yahoo's answers, with the real client against a server that stands in for Yahoo."""

import json
from datetime import date, time, timedelta

import pytest

from pipeline.errors import InputError, QualityError
from pipeline.ingest.source import open_source
from pipeline.update.bars import format_bars
from pipeline.update.folder import MarketFolder, hold_folder
from pipeline.update.ledger import Entry, open_ledger, read_entries, read_ledger
from tests.update.stand_in import Security, read_folder

HELD = "held"


def rows_until(bars, day: date):
    return {other: bar for other, bar in bars.items() if other <= day}


def states(result) -> dict[str, str]:
    return {symbol: entry.state for symbol, entry in result.entries.items()}


def test_rows_are_appended_and_earlier_bytes_stay(open_market, real_bars, days):
    """Junk, a blank row, an odd way to write a number and a change of line ends in the middle are not ours to mend."""
    market = open_market([Security("A", real_bars[0])], days[-4])
    (market.root / "stocks" / "A.csv").rename(market.root / "stocks" / "A.CSV")
    path = market.root / "stocks" / "A.CSV"
    header, *lines = path.read_text().splitlines()
    odd = [header, "junk", f"{days[20]},,,,,,", *lines[:-9], lines[-9].replace(",", ",0", 1), *lines[-8:]]
    data = "\r\n".join(odd[:-5]) + "\r\n" + "\n".join(odd[-5:]) + "\n"
    path.write_bytes(data.encode())
    result = market.update(days[-1])
    assert states(result) == {"A": "appended"}
    assert market.state.log == ["A"]
    added = "".join(real_bars[0][day].format(day) + "\r\n" for day in days[-3:])
    assert path.read_bytes().decode() == data + added
    assert list(read_folder(market.root)) == []


@pytest.mark.parametrize("event", [{"dividends": 0.01}, {"splits": 4.0}, {"splits": 0.1}])
def test_all_rows_are_new_where_the_past_has_changed(open_market, real_bars, days, event):
    ((name, value),) = event.items()
    one = Security("A", real_bars[0], **{name: {days[-2]: value}})
    market = open_market([one], days[-4])
    result = market.update(days[-1])
    assert states(result) == {"A": "restated"}
    assert "Close x" in result.entries["A"].note
    assert market.state.log == ["A", "A"]
    assert market.read("A") == format_bars(real_bars[0])


def test_a_split_of_this_morning_explains_the_prices_of_yesterday(open_market, real_bars, days):
    market = open_market([Security("A", real_bars[0], splits={days[-1]: 4.0})], days[-3])
    market.state.now = market.state.now.combine(days[-1], time(11), market.state.now.tzinfo)
    assert states(market.update()) == {"A": "restated"}
    assert market.read("A") == format_bars(rows_until(real_bars[0], days[-2]))
    assert states(market.update(days[-1])) == {"A": "appended"}
    assert market.read("A") == format_bars(real_bars[0])


@pytest.mark.parametrize(("clock", "through"), [(time(11), -2), (time(19, 59), -2), (time(20), -1)])
def test_no_bar_is_written_until_four_hours_after_its_close(open_market, real_bars, days, clock, through):
    market = open_market([Security("A", real_bars[0])], days[-4])
    market.state.now = market.state.now.combine(days[-1], clock, market.state.now.tzinfo)
    result = market.update()
    assert result.session == days[through]
    assert market.read("A") == format_bars(rows_until(real_bars[0], days[through]))
    assert not result.stale


def test_a_blank_last_row_is_waited_for(open_market, real_bars, days):
    market = open_market([Security("A", real_bars[0], late={days[-2], days[-1]})], days[-4])
    result = market.update(days[-2])
    assert states(result) == {"A": "behind"}
    assert market.read("A") == format_bars(rows_until(real_bars[0], days[-3]))
    market.update()
    assert market.state.log == []  # it was asked a moment ago
    market.state.now += timedelta(hours=2)
    assert states(market.update()) == {"A": "behind"}
    assert market.state.log == ["A"]
    market.state.securities["A"].late.clear()
    assert states(market.update(days[-1])) == {"A": "appended"}
    assert market.read("A") == format_bars(real_bars[0])


def test_a_row_that_comes_late_is_put_in_its_place(open_market, real_bars, days):
    missing = {day: bar for day, bar in real_bars[0].items() if day != days[-3]}
    market = open_market([Security("A", missing)], days[-2])
    market.state.securities["A"].bars = real_bars[0]
    result = market.update(days[-1])
    assert (result.entries["A"].state, result.entries["A"].added) == ("appended", 2)
    assert market.read("A") == format_bars(real_bars[0])


def test_a_volume_that_yahoo_corrects_is_corrected(open_market, real_bars, days):
    market = open_market([Security("A", real_bars[0], early={days[-2]})], days[-2])
    assert market.read("A") != format_bars(rows_until(real_bars[0], days[-2]))
    result = market.update(days[-1])
    assert (result.entries["A"].added, result.entries["A"].revised) == (1, 1)
    assert market.read("A") == format_bars(real_bars[0])


def break_off(one: Security, days) -> None:
    """Yahoo has most of the days no more, and another basis: all would be fetched."""
    one.bars = {day: bar for day, bar in one.bars.items() if day >= days[-60]}


def reuse(one: Security, days) -> None:
    one.bars = {day: bar for day, bar in one.bars.items() if day >= days[-2]}


def rename(one: Security, days) -> None:
    one.renamed = "META"


def lose_common_days(one: Security, days) -> None:
    one.began = days[0]
    reuse(one, days)


def split_unlisted(one: Security, days) -> None:
    one.bars = {day: bar._replace(close=bar.close / 3, adj_close=bar.adj_close / 3) for day, bar in one.bars.items()}


def split_unapplied(one: Security, days) -> None:
    one.applied[days[-1]] = date.max


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (break_off, "Yahoo lacks"),
        (reuse, "reused ticker"),
        (rename, "renamed"),
        (lose_common_days, "no day in common"),
        (split_unlisted, "splits since: none"),
        (split_unapplied, "not divided by the split"),
    ],
)
@pytest.mark.parametrize("full", [False, True])
def test_what_cannot_be_explained_is_held(open_market, real_bars, days, change, reason, full):
    one, plain = Security("A", real_bars[0]), Security("B", real_bars[1])
    if change is break_off:
        one.dividends[days[-1]] = 0.01
    if change is split_unapplied:
        one.splits[days[-1]] = 4.0
    market = open_market([one, plain], days[-4])
    before = market.read("A")
    change(one, days)
    result = market.update(days[-1], full=full)
    assert states(result)["A"] == HELD
    assert reason in result.entries["A"].note
    assert market.read("A") == before
    assert market.read("B") == format_bars(real_bars[1])
    assert result.stale == ["A"]
    market.update(full=full)
    assert market.state.log == []


def test_a_split_that_yahoo_applies_late_is_held_until_then(open_market, real_bars, days):
    one = Security("A", real_bars[0], splits={days[-2]: 4.0}, applied={days[-2]: days[-1]})
    market = open_market([one], days[-4])
    assert states(market.update(days[-2])) == {"A": HELD}
    assert states(market.update(days[-1])) == {"A": "restated"}
    assert market.read("A") == format_bars(real_bars[0])


def test_a_held_symbol_begins_anew_once_its_file_is_taken_away(open_market, real_bars, days):
    one = Security("A", real_bars[0])
    market = open_market([one], days[-4])
    split_unlisted(one, days)
    assert states(market.update(days[-1])) == {"A": HELD}
    (market.root / "stocks" / "A.csv").unlink()
    assert states(market.update()) == {"A": "new"}
    assert market.read("A") == format_bars(one.bars)


def test_files_that_cannot_be_added_to_are_held_and_named(open_market, real_bars, days):
    market = open_market([Security(name, real_bars[0]) for name in "ABCDE"], days[-4])
    stocks, etfs = market.root / "stocks", market.root / "etfs"
    (stocks / "A.csv").write_text("Date,Close\n2020-01-02,1\n")
    (stocks / "B.csv").write_bytes(b"\xff\xfe")
    (etfs / "C.csv").write_bytes((stocks / "C.csv").read_bytes())
    (stocks / "D.csv").unlink()
    (stocks / "D.csv").symlink_to("nowhere")
    (stocks / "E.csv").write_text((stocks / "E.csv").read_text().splitlines()[0] + "\n")
    result = market.update(days[-1])
    assert states(result) == {"A": HELD, "B": HELD, "C": HELD, "D": HELD, "E": "new"}
    notes = [result.entries[symbol].note for symbol in "ABCD"]
    for note, words in zip(notes, ["begin with Date,Open", "UTF-8", "stocks and etfs", "cannot be read"], strict=True):
        assert words in note
    assert market.state.log == ["E"]
    with pytest.raises(QualityError, match=r"4 of 5 symbols .* \(4 held\)"):
        result.check()


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
    assert list(ledger.columns) == ["symbol", "state", "through", "rows", "added", "note"]
    assert list(ledger["symbol"]) == ["A", "BRK.B", "SPY", "^GSPC"]


def test_a_file_in_yahoos_spelling_is_not_fetched_twice(open_market, real_bars, days):
    market = open_market([Security("BRK.B", real_bars[1], yahoo="BRK-B")], days[-4])
    (market.root / "stocks" / "BRK.B.csv").rename(market.root / "stocks" / "BRK-B.csv")
    (market.root / "symbols_valid_meta.csv").write_text("NASDAQ Symbol,Security Name\n")
    assert states(market.update(days[-1])) == {"BRK-B": "appended"}
    assert market.state.log == ["BRK-B"]


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
    outcomes = []
    for day in days[-8:]:
        result = market.update(day)
        market.state.now += timedelta(hours=2)
        market.update()  # the same evening counts once
        outcomes.append(result.entries["A"].state)
        result.check()
    assert outcomes == ["appended", "behind", state, state, *["delisted"] * 4]
    assert "A" not in market.state.log
    assert market.read("A") == format_bars(dead.bars)
    assert open_source("folder", str(market.root)).names["A"] == "A Inc."


def test_a_reused_ticker_keeps_the_name_of_its_rows(open_market, real_bars, days):
    one = Security("A", real_bars[0])
    market = open_market([one, Security("B", real_bars[1])], days[-4])
    metadata = market.root / "symbols_valid_meta.csv"
    metadata.write_text(metadata.read_text().replace("A Inc.", "Old A").replace("B Inc.", "Old B"))
    reuse(one, days)
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


def test_somebody_comes_back_after_a_month(open_market, real_bars, days):
    securities = [
        Security("A", real_bars[0]),
        Security("B", real_bars[1], dividends={days[-9]: 0.01}),
        Security("C", real_bars[2], splits={days[-15]: 3.0, days[-4]: 2.0}),
    ]
    market = open_market(securities, days[-23])
    result = market.update(days[-1])
    assert states(result) == {"A": "appended", "B": "restated", "C": "restated"}
    for one in securities:
        assert market.read(one.symbol) == format_bars(one.bars)


def test_after_more_than_a_year_all_rows_are_asked_for_at_once(open_market, real_bars, days):
    bars = max(real_bars, key=len)
    market = open_market([Security("A", bars, dividends={days[-100]: 0.01, days[-5]: 0.01})], days[-300])
    assert states(market.update(days[-1])) == {"A": "restated"}
    assert market.state.log == ["A"]
    assert market.read("A") == format_bars(bars)


def test_full_fetches_everything_once(open_market, real_bars, days):
    """Also a past that was changed long before the last ten sessions, which no other update looks at."""
    market = open_market([Security("A", real_bars[0]), Security("B", real_bars[1])], days[-4])
    path = market.root / "stocks" / "A.csv"
    path.write_text(path.read_text().replace(real_bars[0][days[-60]].format(days[-60]), f"{days[-60]},1,1,1,1,1,1"))
    market.update(days[-1], symbols=["A"])
    assert market.read("A") != format_bars(real_bars[0])
    assert states(market.update(full=True)) == {"A": "restated", "B": "appended"}
    assert market.state.log == ["A", "B"]
    assert market.read("A") == format_bars(real_bars[0])
    market.update(full=True)
    assert market.state.log == []


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
