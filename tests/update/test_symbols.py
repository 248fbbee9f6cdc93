"""Spellings, and NASDAQ's directory as text."""

import subprocess
import sys
from datetime import date, datetime, timedelta

import pytest

from pipeline.datasets.contract import CSV_COLUMNS
from pipeline.update import listing
from pipeline.update.bars import Bar, BarFile, parse_row
from pipeline.update.listing import COLUMNS, NEW_YORK, DirectoryError, format_metadata, parse_listing, read_metadata
from pipeline.update.spelling import NASDAQ_SYMBOL, YAHOO_SYMBOL, spell_for_yahoo
from tests.update.stand_in import Security, StandIn, evening


@pytest.mark.parametrize(
    ("nasdaq", "yahoo"),
    [
        ("AAPL", "AAPL"),
        ("AACIW", "AACIW"),
        ("BRK.B", "BRK-B"),
        ("AGM-A", "AGM-PA"),
        ("ABC-", "ABC-P"),
        ("BAC+A", "BAC-WTA"),
        ("AAC+", "AAC-WT"),
        ("AAC=", "AAC-UN"),
        ("GUT^", "GUT-RI"),
        ("CARR#", "CARR-WI"),
        ("^GSPC", "^GSPC"),
        ("ABC*", None),
        ("ABC%", None),
        ("ABC$", None),
        ("ZXYZ~", None),
        ("../X", None),
        ("", None),
    ],
)
def test_symbols_are_spelled_as_yahoo_does(nasdaq, yahoo):
    assert spell_for_yahoo(nasdaq) == yahoo


def test_patterns_take_linear_time():
    code = (
        "from pipeline.update.spelling import NASDAQ_SYMBOL, YAHOO_SYMBOL\n"
        "for text in ('A' * 100_000 + '!!', 'A-' * 50_000 + '!', '^' * 100_000):\n"
        "    assert not NASDAQ_SYMBOL.fullmatch(text) and not YAHOO_SYMBOL.fullmatch(text)"
    )
    subprocess.run([sys.executable, "-c", code], timeout=20, check=True)
    assert NASDAQ_SYMBOL.fullmatch("BRK.B")
    assert YAHOO_SYMBOL.fullmatch("BRK-B")


def list_symbols(days) -> str:
    return StandIn(
        [Security("A", {}), Security("BRK.B", {}), Security("SPY", {}, kind="ETF")], evening(days[-1])
    ).list_symbols()


def test_directory_is_read_without_test_issues_and_footer(days):
    found = parse_listing(list_symbols(days))
    assert sorted(found.rows) == ["A", "BRK.B", "SPY"]
    assert found.rows["SPY"]["ETF"] == "Y"
    assert found.made == evening(days[-1])
    assert not found.is_old(evening(days[-1]))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: "",
        lambda text: "<html>Service unavailable</html>",
        lambda text: text[: text.index("File Creation")],
        lambda text: text[: len(text) // 2],
        lambda text: text.replace("File Creation Time: ", "File Creation Time: soon"),
        lambda text: text.replace("Y|A|", "Y|"),
        lambda text: text.replace("NASDAQ Symbol|", ""),
    ],
)
def test_directory_that_is_not_whole_is_refused(spoil, days):
    with pytest.raises(DirectoryError):
        parse_listing(spoil(list_symbols(days)))


def test_metadata_comes_back_as_it_was():
    name = 'Agilent "A", Inc.'
    row = dict.fromkeys(COLUMNS, "") | {"NASDAQ Symbol": "A", "Security Name": name}
    data = format_metadata({"A": row})
    assert read_metadata(data) == read_metadata("\N{BOM}".encode() + data) == {"A": row}
    assert read_metadata("\N{BOM}NASDAQ Symbol,Security Name\r\nA,x\r\n".encode())["A"]["Security Name"] == "x"


def test_old_directory_is_known_as_old(days):
    made = parse_listing(list_symbols(days))
    assert made.is_old(datetime(days[-1].year + 1, 1, 1, tzinfo=NEW_YORK))


@pytest.mark.parametrize(
    ("age", "ftp", "expected"), [(0, "new", ["https"]), (30, "new", ["https", "ftp"]), (30, "", ["https", "ftp"])]
)
def test_ftp_is_asked_where_http_is_not_current(days, monkeypatch, age, ftp, expected):
    """Of the two the newer is taken, and an old one where there is no other."""
    now = evening(days[-1])
    made = {"https": now - timedelta(days=age), "ftp": now}
    asked = []

    def fetch(address: str, direct: bool) -> str:
        asked.append(address.split(":")[0])
        if asked[-1] == "ftp" and not ftp:
            raise DirectoryError("no FTP here")
        return StandIn([Security("A", {})], made[asked[-1]]).list_symbols()

    monkeypatch.delenv("NASDAQ_URL", raising=False)
    monkeypatch.setattr(listing, "fetch", fetch)
    found = listing.fetch_listing(now)
    assert asked == expected
    assert found.made == made[expected[-1] if ftp else "https"]
    assert found.is_old(now) == (not ftp)


def test_of_a_day_that_is_there_twice_the_first_line_is_the_one():
    """As ingest has it: a correction goes where the published row comes from."""
    header, first, second = ",".join(CSV_COLUMNS), "2021-01-26,1,1,1,1,1,5", "2021-01-26,2,2,2,2,2,6"
    file = BarFile.parse(f"{header}\n{first}\n{second}\n".encode())
    file.put({date(2021, 1, 26): Bar(1.0, 1.0, 1.0, 1.0, 1.0, 7), date(2021, 1, 27): Bar(1.0, 1.0, 1.0, 1.0, 1.0, 8)})
    assert [line[-1] for line in file.format().decode().splitlines()[1:]] == ["7", "6", "8"]


@pytest.mark.parametrize(
    ("line", "day", "volume"),
    [
        ("2021-01-26,1,1,1,1,1,9050400.0", date(2021, 1, 26), 9_050_400),
        ("2021-01-26,1,1,1,1,1,", date(2021, 1, 26), None),
        ("2021-01-26,nan,1,1,1,1,5", date(2021, 1, 26), None),
        ("2021-01-26,1,1,1,1,inf,5", date(2021, 1, 26), None),
        ("2021-01-26,1,1,1,1,5", date(2021, 1, 26), None),
        ("20210126,1,1,1,1,1,5", None, None),  # a date elsewhere; ingest refuses the row
        ("2021-02-30,1,1,1,1,1,5", None, None),
    ],
)
def test_a_row_counts_where_all_of_it_is_there(line, day, volume):
    found, bar = parse_row(line)
    assert (found, bar and bar.volume) == (day, volume)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_rows_find_their_places_whatever_is_put_with_them(end):
    """A row that came late, a correction of the day after it and the next one; the file's mark and line ends stay."""
    days = [date(2021, 1, day) for day in (25, 26, 27, 28)]
    bars = {day: Bar(1.0, 1.0, 1.0, 1.0, 1.0, 10 + place) for place, day in enumerate(days)}
    text = "".join(f"{line}{end}" for line in (",".join(CSV_COLUMNS), *(bars[day].format(day) for day in days)))
    old = text.replace(f"{bars[days[1]].format(days[1])}{end}", "").replace(",12", ",99")
    file = BarFile.parse(f"\N{BOM}{old.removesuffix(bars[days[3]].format(days[3]) + end)}".encode())
    file.put({day: bars[day] for day in days[:0:-1]})
    assert file.format().decode() == f"\N{BOM}{text}"
