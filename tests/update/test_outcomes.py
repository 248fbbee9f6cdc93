"""What an update makes of Yahoo's answers, with the real client against a server that stands in for Yahoo."""

from datetime import date, datetime, time, timedelta

import pytest

from pipeline.errors import QualityError
from pipeline.update.bars import format_bars
from pipeline.update.sessions import find_final_session
from tests.update.market import read_folder, rows_until, states
from tests.update.stand_in import Security

HELD = "held"


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


def test_corrections_of_the_last_ten_sessions_are_found(open_market, real_bars, days):
    market = open_market([Security("A", real_bars[0])], days[-2])
    path = market.root / "stocks" / "A.csv"
    odd = {day: real_bars[0][day]._replace(volume=7) for day in (days[-12], days[-11], days[-6])}
    path.write_bytes(format_bars(rows_until(real_bars[0] | odd, days[-2])))
    result = market.update(days[-1])
    assert (result.entries["A"].added, result.entries["A"].revised) == (1, 2)
    assert market.read("A") == format_bars(real_bars[0] | {days[-12]: odd[days[-12]]})


def test_a_correction_is_written_also_where_the_last_row_is_not_there(open_market, real_bars, days):
    market = open_market([Security("A", real_bars[0], early={days[-2]}, late={days[-1]})], days[-2])
    result = market.update(days[-1])
    assert (result.entries["A"].state, result.entries["A"].revised) == ("behind", 1)
    assert market.read("A") == format_bars(rows_until(real_bars[0], days[-2]))


@pytest.mark.parametrize(
    ("now", "final"),
    [
        ("2021-01-01T12:00-05:00", date(2020, 12, 31)),
        ("2020-12-31T19:59-05:00", date(2020, 12, 30)),
        ("2020-11-27T17:00-05:00", date(2020, 11, 27)),  # a half day
        ("2020-11-27T16:59-05:00", date(2020, 11, 25)),
    ],
)
def test_the_last_session_is_found_also_around_holidays(now, final):
    assert find_final_session(datetime.fromisoformat(now)) == final


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


@pytest.mark.parametrize(
    ("rows", "lost", "state"), [(300, 6, "restated"), (300, 7, HELD), (20, 1, "restated"), (20, 2, HELD)]
)
def test_two_in_a_hundred_days_may_be_lost_or_one(open_market, real_bars, days, rows, lost, state):
    """Yahoo drops a day now and then, which our files may still have."""
    last = days[-rows - 3 : -3]
    one = Security("A", {day: bar for day, bar in max(real_bars, key=len).items() if day >= last[0]})
    one.dividends[days[-1]] = 0.01
    market = open_market([one], days[-4])
    one.bars = {day: bar for day, bar in one.bars.items() if day not in last[2 : 2 + lost]}
    result = market.update(days[-1])
    assert states(result) == {"A": state}
    assert (f"{lost} of our" in result.entries["A"].note) and (state == HELD or "days gone" in result.entries["A"].note)


def test_a_split_that_yahoo_applies_late_is_held_until_then(open_market, real_bars, days):
    one = Security("A", real_bars[0], splits={days[-2]: 4.0}, applied={days[-2]: days[-1]})
    market = open_market([one], days[-4])
    assert states(market.update(days[-2])) == {"A": HELD}
    assert states(market.update(days[-1])) == {"A": "restated"}
    assert market.read("A") == format_bars(real_bars[0])


def test_a_small_split_that_yahoo_applies_late_explains_the_days_before_it(open_market, real_bars, days):
    """It cannot be told from the day's own change of price, so rows came after it on the old basis."""
    one = Security("A", real_bars[0], splits={days[-4]: 1.25}, applied={days[-4]: days[-1]})
    market = open_market([one], days[-6])
    assert states(market.update(days[-2])) == {"A": "appended"}
    assert states(market.update(days[-1])) == {"A": "restated"}
    assert market.read("A") == format_bars(real_bars[0])


def test_an_odd_beginning_of_a_file_hinders_no_restatement(open_market, real_bars, days):
    market = open_market([Security("A", real_bars[0])], days[-4])
    path = market.root / "stocks" / "A.csv"
    odd = {day: bar._replace(close=bar.close * 3) for day, bar in list(real_bars[0].items())[:12]}
    path.write_bytes(format_bars(rows_until(real_bars[0] | odd, days[-4])))
    assert states(market.update(days[-1], full=True)) == {"A": "restated"}
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
