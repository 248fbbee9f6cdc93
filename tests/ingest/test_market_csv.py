"""What comes out of a CSV's bytes: the good rows, and every other line with its number, text and reason."""

import random
import subprocess
import sys
from datetime import date, timedelta

import pytest

from pipeline.datasets.contract import REASONS
from pipeline.ingest.market_csv import ROWS, parse_market_csv, parse_market_csvs
from pipeline.ingest.refused import REFUSED
from pipeline.ingest.source import SAMPLE

HEADER = b"Date,Open,High,Low,Close,Adj Close,Volume"
GOOD = b"2020-01-02,10.0,10.5,9.9,10.1,10.1,1000"


def read(*lines: bytes, end: bytes = b"\n"):
    return parse_market_csv(end.join([HEADER, *lines]) + end)


def list_refused(market) -> list[tuple]:
    return [tuple(one.values()) for one in market.refused.to_pylist()]


def assert_balanced(market):
    assert market.data_rows == market.table.num_rows + market.refused_rows
    assert (market.table.schema, market.refused.schema) == (ROWS, REFUSED)
    assert set(market.refused["reason"].to_pylist()) <= set(REASONS)


@pytest.mark.parametrize(
    ("data", "row"),
    [
        (HEADER + b"\n" + GOOD + b"\n", [10.0, 10.5, 9.9, 10.1, 10.1, 1000]),
        (HEADER + b"\n" + GOOD, [10.0, 10.5, 9.9, 10.1, 10.1, 1000]),
        (HEADER + b"\r\n" + GOOD + b"\r\n", [10.0, 10.5, 9.9, 10.1, 10.1, 1000]),
        (HEADER + b"\r\r\n" + GOOD + b"\r\r\n", [10.0, 10.5, 9.9, 10.1, 10.1, 1000]),
        (HEADER + b"\r" + GOOD + b"\r", [10.0, 10.5, 9.9, 10.1, 10.1, 1000]),
        (HEADER + b"\r" + GOOD, [10.0, 10.5, 9.9, 10.1, 10.1, 1000]),
        (b"\xef\xbb\xbf" + HEADER + b"\n" + GOOD + b"\n", [10.0, 10.5, 9.9, 10.1, 10.1, 1000]),
        (b"Volume,Adj Close,Date,Close,Low,High,Open\n7,6,2020-01-02,5,4,3,2\n", [2, 3, 4, 5, 6, 7]),
        (b"Note,Date,Open,High,Low,Close,Adj Close,Volume\nhi,2020-01-02,1,2,3,4,5,6\n", [1, 2, 3, 4, 5, 6]),
        (b'"Date", Open,High,Low,Close,Adj Close,Volume\n"2020-01-02", 1,2,3,4,5,"6"\n', [1, 2, 3, 4, 5, 6]),
        (HEADER + b',Note\n"2020-01-02" ,1,"2"\t, "3",4,5,6,5" of "rain"\n', [1, 2, 3, 4, 5, 6]),
    ],
    ids=[
        "plain",
        "no last newline",
        "CRLF",
        "Windows' text mode over CRLF",
        "CR",
        "CR, no last one",
        "BOM",
        "reordered",
        "extra column",
        "spaces and quotes",
        "spaces around quotes",
    ],
)
def test_header_is_read_by_name(data, row):
    market = parse_market_csv(data)
    assert market.table.to_pylist() == [dict(zip(ROWS.names, [date(2020, 1, 2), *row], strict=True))]
    assert not market.refused_rows
    assert_balanced(market)


@pytest.mark.parametrize(
    ("data", "reason", "rows"),
    [
        (b"", "empty file", 0),
        (b"\xef\xbb\xbf", "empty file", 0),
        (b"\0\0", "header", 0),
        (HEADER, "no data", 0),
        (HEADER + b"\n", "no data", 0),
        (b"Date,Open,High,Low,Close,Volume\n2020-01-02,1,2,3,4,5\n\n", "header", 2),
        (HEADER + b",Volume\n" + GOOD + b",5\n", "header", 1),
        (GOOD + b"\n" + GOOD, "header", 1),
        ((HEADER + b"\n" + GOOD).decode().encode("utf-16"), "header", 1),
        ((HEADER + b"\r\n" + GOOD + b"\r\n" + GOOD).decode().encode("utf-16"), "header", 2),
        (b"a,b\r1,2\r3,4", "header", 2),
        (bytes(range(1, 256)) * 9, "header", 18),
        (b"," * 2_000_000 + HEADER + b"\n" + GOOD, "header", 1),
    ],
)
def test_file_without_a_usable_header_is_refused_whole(data, reason, rows):
    market = parse_market_csv(data)
    ((line, _, told, lost),) = list_refused(market)
    assert (line, told, lost) == (None, reason, rows)
    assert_balanced(market)


FAULTS = [
    (b"2020-01-03,,,,,,", "blank"),
    (b"2020-01-03,1,2,,4,5,6", "blank"),
    (b",1,2,3,4,5,6", "blank"),
    (b"2020-01-03,1,2,3,4,5, ", "blank"),
    (b"", "blank"),
    (b"2020-01-03,1,2", "fields"),
    (b"2020-01-03,1,2,3,4,5,6,", "fields"),
    (b"2020-01-03,1,2,3,4,5,6,7", "fields"),
    (b'2020-01-03,1,"2,3,4,5,6', "fields"),
    (b'2020-01-03,1,"2"2,3,4,5,6', "fields"),
    (b'2020-01-03,1,"2""",3,4,5,6', "number"),
    (b'2020-01-03,1,"2,"3",4,5,6', "fields"),
    (b"2020-01-03,1,2,3,4,5,6\xff", "encoding"),
    (b"2020-01-03,1,2,3\x00,4,5,6", "encoding"),
    (b"2020-02-30,1,2,3,4,5,6", "date"),
    (b"03/01/2020,1,2,3,4,5,6", "date"),
    (b"20200103,1,2,3,4,5,6", "date"),
    (b"2020-01-03 00:00,1,2,3,4,5,6", "date"),
    (b"0020-01-03,1,2,3,4,5,6", "date"),
    (b"2999-01-03,1,2,3,4,5,6", "date"),
    (b"2020-01-03,1,2,3,4,5,abc", "number"),
    (b"2020-01-03,1,2,3,4,5,1e400", "number"),
    (b"2020-01-03,inf,2,3,4,5,6", "number"),
    (b"2020-01-03,1,nan,3,4,5,6", "number"),
    (b"2020-01-03,1,2,0x10,4,5,6", "number"),
    (b"2020-01-03,1,2,1_000,4,5,6", "number"),
    ("2020-01-03,1,2,٣,4,5,6".encode(), "number"),
    (b"2020-01-03,1,2,3,4,5,-5", "volume"),
    (b"2020-01-03,1,2,3,4,5,6.5", "volume"),
    (b"2020-01-03,1,2,3,4,5,9007199254740993", "volume"),
    (b"2020-01-02,1,2,3,4,5,6", "duplicate date"),
]


@pytest.mark.parametrize(("line", "reason"), FAULTS)
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"], ids=["LF", "CRLF", "CR"])
def test_bad_row_is_refused_with_line_text_and_reason(line, reason, end):
    market = read(GOOD, line, b"2020-01-06,1,2,3,4,5,6", end=end)
    text = line.decode(errors="backslashreplace").replace("\0", "\\x00")
    assert list_refused(market) == [(3, text, reason, 1)]
    assert market.table["Date"].to_pylist() == [date(2020, 1, 2), date(2020, 1, 6)]
    assert_balanced(market)


def test_stray_bytes_in_a_column_nobody_asked_for():
    market = parse_market_csv(HEADER + b",Note\n" + GOOD + b",\xff\n2020-01-03,1,2,3,4,5,6,fine\n")
    assert market.refused["reason"].to_pylist() == ["encoding"]
    assert_balanced(market)


def test_a_byte_order_mark_below_the_header_is_no_part_of_a_day():
    data = HEADER + b"\n\xef\xbb\xbf" + GOOD + b"\n2020-01-03,1,2,3,4,5,6\n"
    for market in (parse_market_csv(data), *parse_market_csvs([data, data])):
        assert [(line, reason) for line, _, reason, _ in list_refused(market)] == [(2, "date")]
        assert_balanced(market)


def test_last_line_cut_short_loses_only_itself():
    market = parse_market_csv(HEADER + b"\n" + GOOD + b"\n2020-01-03,10.1,10.")
    assert list_refused(market) == [(3, "2020-01-03,10.1,10.", "fields", 1)]
    assert market.table.num_rows == 1


def test_blank_lines_are_counted():
    market = read(GOOD, b"", b" \t", b"", b"2020-01-03,1,2,3,4,5,6", b"", b"2020-01-06,,,,,,", b"2020-01-06,,,,,,")
    assert list_refused(market) == [
        (3, "", "blank", 3),
        (7, "", "blank", 1),
        (8, "2020-01-06,,,,,,", "blank", 2),
    ]
    assert_balanced(market)
    assert market.data_rows == 8


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"], ids=["LF", "CRLF", "CR"])
def test_lines_are_counted_whatever_ends_them(end):
    lines = [GOOD, b"", b"2020-01-03,1,2", b"2020-01-06,1,2,3,4,5,6"]
    for data in (end.join([HEADER, *lines]), end.join([HEADER, *lines, b""])):
        market = parse_market_csv(data)
        assert list_refused(market) == [(3, "", "blank", 1), (4, "2020-01-03,1,2", "fields", 1)]
        assert (market.data_rows, market.table.num_rows) == (4, 2)


def test_a_long_text_is_cut_and_its_length_told():
    text = "ü" * 700_000
    market = read(b"2020-01-02" + b"\0" * 3_000_000, text.encode(), b"x" * 1000, b"x" * 1001, GOOD)
    first, second, third, fourth = market.refused["text"].to_pylist()
    assert first == ("2020-01-02" + "\\x00" * 1000)[:1000] + "... (3,000,010 bytes)"
    assert second == "ü" * 1000 + "... (1,400,000 bytes)"
    assert third == "x" * 1000
    assert fourth == "x" * 1000 + "... (1,001 bytes)"
    assert market.refused["reason"].to_pylist() == ["encoding", "fields", "fields", "fields"]
    assert market.table.num_rows == 1


def test_four_million_blank_lines_are_one_row_of_quarantine():
    market = read(GOOD, *[b""] * 4_000_000, b"2020-01-03,1,2,3,4,5,6")
    assert list_refused(market) == [(3, "", "blank", 4_000_000)]
    assert_balanced(market)


# In a process of its own: where time grows with the square of the length, a line takes minutes.
READ_NASTY_LINES = """
from tests.ingest.test_market_csv import GOOD, HEADER, assert_balanced
from pipeline.ingest.market_csv import parse_market_csv

for unit in [b"7", b'"', b'""', b'","', b'" ', b" ", b",", b'"a"', b'a"', b" ,", b'\\t"', b"1e", b"0.", b"-", b"\\xff"]:
    for start in (b"", b"2020-01-03,", b'2020-01-03,"', b"2020-01-03,1,2,3,4,5,6,"):
        for end in (b"", b"x", b'"', b" "):
            line = start + unit * (300_000 // len(unit)) + end
            assert_balanced(parse_market_csv(b"\\n".join([HEADER + b",Note", GOOD + b",", line])))
"""


def test_long_lines_take_linear_time():
    subprocess.run([sys.executable, "-c", READ_NASTY_LINES], cwd=SAMPLE.parents[1], timeout=100, check=True)


GIANT = b"x" * 200_000  # more than the csv module takes for a field
NEIGHBOURS = [
    b'2020-01-08,1,2,3,4,5,6,"said "" twice"',
    b"2020-01-08,1,2,3,4,5,6,\xff",
    b"2020-01-08,1,2,3,4,5,6,\0",
    b"2020-01-08,abc,2,3,4,5,6,",
    b"",
    b"2020-01-02,1,1,1,1,1,1,",
]


@pytest.mark.parametrize("neighbour", NEIGHBOURS)
@pytest.mark.parametrize(
    "line", [b'"2020-01-03" ,1,2,3,4,5,6,', b"2020-01-03,1,2,3,4,5,6," + GIANT, b'2020-01-03,1,2,3,4,5,6," "']
)
def test_what_becomes_of_a_line_does_not_depend_on_its_neighbours(line, neighbour):
    header, good = HEADER + b",Note", GOOD + b","
    alone = parse_market_csv(b"\n".join([header, good, line]))
    beside = parse_market_csv(b"\n".join([header, good, line, neighbour]))
    assert alone.table.num_rows == 2
    assert beside.table.slice(0, 2).equals(alone.table)


def test_first_of_a_day_is_kept_and_days_are_sorted():
    market = read(b"2020-01-06,1,1,1,1,1,1", b"2020-01-02,2,2,2,2,2,2", b"2020-01-06,3,3,3,3,3,3")
    assert market.table["Date"].to_pylist() == [date(2020, 1, 2), date(2020, 1, 6)]
    assert market.table["Volume"].to_pylist() == [2, 1]
    assert list_refused(market) == [(4, "2020-01-06,3,3,3,3,3,3", "duplicate date", 1)]


def test_refused_row_does_not_take_the_place_of_a_good_one_of_the_same_day():
    market = read(b"2020-01-02,1,1,1,1,1,abc", GOOD)
    assert market.table["Volume"].to_pylist() == [1000]
    assert market.refused["line"].to_pylist() == [2]


@pytest.mark.parametrize(
    ("text", "volume"),
    [(b"18000000000", 18_000_000_000), (b"9050400.0", 9_050_400), (b"1.8e10", 18_000_000_000), (b"0", 0)],
)
def test_volume_beyond_32_bits_or_written_as_a_decimal_is_kept(text, volume):
    assert read(b"2020-01-02,1,2,3,4,5," + text).table["Volume"].to_pylist() == [volume]


def test_suspicious_but_well_formed_rows_are_published():
    market = read(b"2020-01-02,0,1,2,1,-2.38e21,5")
    assert market.table.num_rows == 1
    assert market.table["Adj Close"].to_pylist() == [-2.38e21]


def make_lines(rng: random.Random, days: int) -> list[bytes]:
    """A clean file's lines, prices written with as many digits as a double has."""
    first = date(1999, 1, 1) + timedelta(rng.randrange(3000))
    lines = []
    for day in sorted(rng.sample(range(days * 2), days)):
        prices = [repr(rng.uniform(0.01, 500)) for _ in range(5)]
        volume = rng.choice([str(rng.randrange(10**10)), f"{rng.randrange(10**7)}.0"])
        lines.append(",".join([(first + timedelta(day)).isoformat(), *prices, volume]).encode())
    return lines


@pytest.mark.parametrize("seed", range(60))
def test_faults_planted_at_random_are_found_and_nothing_else(seed):
    rng = random.Random(seed)
    lines = make_lines(rng, rng.randrange(1, 200))
    good = list(lines)
    planted = {}
    for _ in range(rng.randrange(6)):
        line, reason = rng.choice([fault for fault in FAULTS if fault[1] != "duplicate date"])
        planted[line] = reason
        lines.insert(rng.randrange(len(lines) + 1), line)
    if len(good) > 3 and rng.random() < 0.5:  # a copy of a day, somewhere below it
        copied = good[rng.randrange(len(good) - 1)]
        lines.insert(rng.randrange(lines.index(copied) + 1, len(lines) + 1), copied)
        expected_copy = len(lines) - 1 - lines[::-1].index(copied)
    else:
        expected_copy = None

    market = parse_market_csv(HEADER + b"\n" + b"\n".join(lines) + b"\n")

    assert_balanced(market)
    expected = {index + 2: planted[line] for index, line in enumerate(lines) if line in planted}
    if expected_copy is not None:
        expected[expected_copy + 2] = "duplicate date"
    found = {first + below: reason for first, _, reason, rows in list_refused(market) for below in range(rows)}
    assert found == expected
    days, *prices, volume = zip(*(line.decode().split(",") for line in good), strict=True)
    assert market.table["Date"].to_pylist() == [date.fromisoformat(day) for day in days]
    for name, texts in zip(ROWS.names[1:6], prices, strict=True):
        assert market.table[name].to_pylist() == [float(text) for text in texts], name
    assert market.table["Volume"].to_pylist() == [int(float(text)) for text in volume]
