"""Whatever the bytes of a CSV, its lines are accounted for, and all ways to read it say the same.

Real files are spoiled at random, hundreds of times. ANY_BYTES in the environment asks for another number of examples
than the usual, and for new ones.
"""

import os

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.datasets.contract import REASONS
from pipeline.ingest.csv_line import read_header
from pipeline.ingest.market_csv import (
    BOM,
    ROWS,
    ParsedCsv,
    parse_carefully,
    parse_fast,
    parse_market_csv,
    parse_market_csvs,
    unify_ends,
)
from pipeline.ingest.refused import LONGEST_TEXT, REFUSED
from pipeline.ingest.source import SAMPLE

EXAMPLES = os.environ.get("ANY_BYTES")
REAL = [b"".join(path.open("rb").readlines()[:40]) for path in sorted(SAMPLE.glob("*/*.csv"))]
PIECES = [
    *(bytes([one]) for one in range(256)),
    *(BOM, b"\r\n", b"\r\r\n", b"\n\n\n", b'""', b'" ', b' "', b'",', b',"', b"\n\xef\xbb\xbf", b"\xff\xfe"),
    *(
        "٣１२³½".encode(),
        b"1_0",
        b"+5",
        b"-0",
        b".5",
        b"5.",
        b"1e5",
        b"1e-400",
        b"1e400",
        b"inf",
        b"nan",
        b"0x10",
        b"NA",
    ),
    *(b"9007199254740993", b"2020-02-30", b"0000-01-01", b"1677-12-31", b"2262-01-01", b"2020-01-02T00:00", b",,,,,,"),
    *(b"7" * 400, b"x" * 140_000, b" " * 2_000, b"," * 500, b'"' * 501),
]
# What pyarrow takes for something else than the careful way does, or did once.
TRAPS = [b"\0", b"\xff", BOM, b'"a"b', b'"a" ', b' "a"', b'a"b', b'"', b'""""', b"\r", b" ", b"\t", b"x" * 140_000]
PIECE = st.sampled_from(TRAPS) | st.sampled_from(PIECES)
LINES = st.integers(0, 60)


def spoil(data: bytes, draw: st.DrawFn) -> bytes:
    """One thing that happens to files, somewhere in this one."""
    lines = data.split(b"\n")
    row, other = draw(LINES) % len(lines), draw(LINES) % len(lines)
    at = draw(st.integers(0, len(data)))
    kind = draw(
        st.sampled_from(
            [
                "put",
                "exchange",
                "cut",
                "double",
                "move",
                "drop",
                "quote",
                "end",
                "column",
                "column",
                "lead",
                "bit",
                "code",
            ]
        )
    )
    if kind == "put":
        return data[:at] + draw(PIECE) + data[at:]
    if kind == "exchange":
        return data[:at] + draw(PIECE) + data[at + 1 :]
    if kind == "cut":
        return data[:at]
    if kind == "bit":
        return data[:at] + bytes(byte ^ 1 << draw(st.integers(0, 7)) for byte in data[at : at + 1]) + data[at + 1 :]
    if kind == "code":
        return data.decode("latin-1").encode(
            draw(st.sampled_from(["utf-16", "utf-16-le", "utf-8", "cp037"])), "replace"
        )
    if kind == "end":
        return data.replace(b"\n", draw(st.sampled_from([b"\r\n", b"\r", b"\r\r\n", b"\n\n", b" \n", b",\n"])))
    if kind == "column":  # one that nobody asked for: only what stands there in one line is odd
        notes = [b",Note", *(b",fine" if line else b"" for line in lines[1:])]
        notes[row] = b"," + draw(PIECE) if lines[row] else b""
        return b"\n".join(map(bytes.__add__, lines, notes))
    if kind == "lead":
        first = min(row, draw(st.integers(0, 2)))
        lines[first] = draw(PIECE) + lines[first]
    elif kind == "double":
        lines[other:other] = [lines[row]] * draw(st.integers(1, 3))
    elif kind == "move":
        lines[row], lines[other] = lines[other], lines[row]
    elif kind == "drop":
        del lines[row]
    else:
        lines[row] = b",".join(b'"' + field + b'"' for field in lines[row].split(b","))
    return b"\n".join(lines)


@st.composite
def spoiled_files(draw: st.DrawFn) -> bytes:
    data = draw(st.sampled_from(REAL))
    for _ in range(draw(st.integers(0, 4))):
        data = spoil(data, draw)
    return data


def assert_same(one: ParsedCsv, other: ParsedCsv) -> None:
    assert one.data_rows == other.data_rows
    assert one.refused.to_pylist() == other.refused.to_pylist()
    assert one.table.equals(other.table)


@settings(
    max_examples=int(EXAMPLES or 300),
    derandomize=EXAMPLES is None,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(st.lists(spoiled_files(), min_size=1, max_size=3), st.sampled_from(REAL))
def test_all_ways_to_read_any_bytes_say_the_same(files, clean):
    together = parse_market_csvs([clean, *files, clean])
    assert together[0].data_rows == together[-1].table.num_rows == clean.count(b"\n") - 1
    for data, parsed in zip(files, together[1:-1], strict=True):
        alone = parse_market_csv(data)
        assert_same(alone, parsed)
        assert (alone.table.schema, alone.refused.schema) == (ROWS, REFUSED)
        assert alone.data_rows == alone.table.num_rows + alone.refused_rows
        days = alone.table["Date"].to_pylist()
        assert days == sorted(set(days))
        for refused in alone.refused.to_pylist():
            assert refused["reason"] in REASONS
            assert len(refused["text"]) < LONGEST_TEXT + 50
        header, _, body = unify_ends(data.removeprefix(BOM)).partition(b"\n")
        columns = read_header(header)
        if columns and body:
            careful = parse_carefully(body, columns)
            assert_same(alone, careful)
            assert alone.data_rows == body.count(b"\n") + (not body.endswith(b"\n"))
            if fast := parse_fast(body, columns):
                assert_same(fast, careful)
