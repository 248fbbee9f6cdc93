"""CSVs to Arrow tables: fast where a file is clean, line by line where it is not.

Files that look like all the others are parsed together, by one call of pyarrow, and their columns are checked as a
whole. A file that this cannot vouch for is read again by itself; there too pyarrow goes first, and what it cannot
vouch for is read by the careful way, which finds the lines to refuse and says why. All give the same rows and refuse
the same lines, whatever the bytes: what becomes of a line does not depend on its neighbours.
"""

import math
import re
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import csv as arrow_csv

from pipeline.datasets.contract import CSV_COLUMNS, PRICE_COLUMNS
from pipeline.ingest.csv_line import (
    FIRST_DAY,
    LAST_DAY,
    VOLUME_LIMIT,
    LineError,
    Row,
    find_fault,
    parse_line,
    read_header,
)
from pipeline.ingest.refused import REFUSED, RefusedLines, refuse_whole, show

USUAL_HEADER = ",".join(CSV_COLUMNS).encode() + b"\n"
BOM = b"\xef\xbb\xbf"
EPOCH = date(1970, 1, 1).toordinal()
NO_DAY = -(2**31)
BLANK = re.compile(rb"[ \t\n]*")

ROWS = pa.schema(
    [
        pa.field("Date", pa.date32(), nullable=False),
        *(pa.field(name, pa.float64(), nullable=False) for name in PRICE_COLUMNS),
        pa.field("Volume", pa.int64(), nullable=False),
    ]
)
CONVERT = arrow_csv.ConvertOptions(
    column_types={"Date": pa.date32(), **dict.fromkeys((*PRICE_COLUMNS, "Volume"), pa.float64())},
    include_columns=list(CSV_COLUMNS),
    null_values=[""],
)


@dataclass(frozen=True)
class ParsedCsv:
    """A file, read: `table` (schema ROWS, by date, no date twice) and `refused` (schema REFUSED). data_rows counts the
    lines below the header: the rows of the one and the sum of `rows` of the other.
    """

    table: pa.Table
    refused: pa.Table
    data_rows: int

    @property
    def refused_rows(self) -> int:
        return sum(self.refused["rows"].to_pylist())


def parse_market_csvs(files: list[bytes]) -> list[ParsedCsv]:
    """Read the bytes of many CSVs, each as `parse_market_csv` does, the usual ones in one go."""
    usual = [number for number, data in enumerate(files) if is_usual(data)]
    together = dict(zip(usual, parse_together([files[number] for number in usual]), strict=True))
    return [together.get(number) or parse_market_csv(data) for number, data in enumerate(files)]


def is_usual(data: bytes) -> bool:
    """Has the columns in their order and rows below them, and a line is a row: no quotes, no returns."""
    rows = len(data) > len(USUAL_HEADER) and data.endswith(b"\n")
    return rows and data.startswith(USUAL_HEADER) and b'"' not in data and b"\r" not in data


def parse_together(files: list[bytes]) -> list[ParsedCsv | None]:
    """Usual files as if they were one; None for each that holds anything doubtful."""
    rows = np.array([count_ends(data) - 1 for data in files], dtype=np.int64)
    table = read_columns(b"".join(memoryview(data)[len(USUAL_HEADER) :] for data in files), list(CSV_COLUMNS))
    if table is None or table.num_rows != rows.sum():
        return [None] * len(files)
    ends = rows.cumsum()
    starts = ends - rows
    days = read_days(table)
    backwards = np.setdiff1d(np.flatnonzero(days[1:] <= days[:-1]) + 1, starts)
    doubtful = set(np.searchsorted(ends, np.concatenate([find_doubtful(table), backwards]), side="right"))
    table, nothing = make_volume_whole(table), REFUSED.empty_table()
    return [
        None if number in doubtful else ParsedCsv(table.slice(start, count), nothing, count)
        for number, (start, count) in enumerate(zip(starts.tolist(), rows.tolist(), strict=True))
    ]


def parse_market_csv(data: bytes) -> ParsedCsv:
    """Read the bytes of one CSV. Columns are found by name; others are ignored. Never raises for what the bytes
    hold.
    """
    unified = unify_ends(data.removeprefix(BOM))
    if not unified:
        return ParsedCsv(ROWS.empty_table(), refuse_whole("", "empty file", 0), 0)
    header, _, body = unified.partition(b"\n")
    columns = read_header(header)
    if columns is None:
        lines = max(0, count_lines(unify_ends(data.replace(b"\0", b""))) - 1)  # UTF-16 has NUL between \r and \n
        return ParsedCsv(ROWS.empty_table(), refuse_whole(show(header), "header", lines), lines)
    if not body:
        return ParsedCsv(ROWS.empty_table(), refuse_whole(show(header), "no data", 0), 0)
    return parse_fast(body, columns) or parse_carefully(body, columns)


def unify_ends(data: bytes) -> bytes:
    """The bytes with \\n as the only end of a line. Old Macs wrote \\r, Windows \\r\\n, and its text mode \\r\\r\\n."""
    if b"\r" in data:
        for end in (b"\r\r\n", b"\r\n", b"\r"):
            data = data.replace(end, b"\n")
    return data


def count_lines(data: bytes) -> int:
    """Lines, the last one with or without an end."""
    return count_ends(data) + (bool(data) and not data.endswith(b"\n"))


def count_ends(data: bytes) -> int:
    """Line feeds in it: numpy counts four times as fast as bytes.count."""
    return int(np.count_nonzero(np.frombuffer(data, np.uint8) == ord("\n")))


def parse_fast(body: bytes, columns: list[str]) -> ParsedCsv | None:
    """The lines below the header by pyarrow, with a careful look at those that it could not fill; None where pyarrow
    and the careful way may not agree.
    """
    if b"\0" in body or not is_utf8(body) or not has_plain_quotes(body):
        return None
    table = read_columns(body, columns)
    data_rows = count_lines(body)
    if table is None or table.num_rows != data_rows:
        return None
    refused = RefusedLines()
    doubtful = find_doubtful(table)
    if len(doubtful):
        ends = np.append(np.flatnonzero(np.frombuffer(body, np.uint8) == ord("\n")), len(body))
        for row in doubtful.tolist():
            line = body[ends[row - 1] + 1 if row else 0 : ends[row]]
            reason = find_fault(line, columns)
            if reason is None:
                return None
            refused.add(row + 2, show(line), reason)
        keep = np.ones(data_rows, dtype=bool)
        keep[doubtful] = False
        table = table.filter(pa.array(keep))
    days = read_days(table)
    if not (days[1:] > days[:-1]).all():
        return None
    return ParsedCsv(make_volume_whole(table), refused.to_table(), data_rows)


def is_utf8(data: bytes) -> bool:
    if data.isascii():
        return True
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def has_plain_quotes(data: bytes) -> bool:
    """Whether quotes stand only around whole fields of one line: there pyarrow reads what `split_fields` reads."""
    if b'"' not in data:
        return True
    padded = np.frombuffer(b"\n%b\n" % data, np.uint8)
    quotes = np.flatnonzero(padded == ord('"'))
    if len(quotes) % 2:
        return False
    opening, closing = quotes[::2], quotes[1::2]
    between = [ord(","), ord("\n")]
    ends = np.flatnonzero(padded == ord("\n"))
    return bool(
        np.isin(padded[opening - 1], between).all()
        and np.isin(padded[closing + 1], between).all()
        and (np.searchsorted(ends, opening) == np.searchsorted(ends, closing)).all()
    )


def read_columns(body: bytes, columns: list[str]) -> pa.Table | None:
    """The seven columns of the lines in `body` by pyarrow, an empty field as null; None if one is not what it should
    be.
    """
    if body.startswith(BOM):  # pyarrow would skip it
        return None
    # A block larger than what is parsed at once: one chunk a column.
    read = arrow_csv.ReadOptions(use_threads=False, block_size=2**30, column_names=columns)
    try:
        return arrow_csv.read_csv(pa.BufferReader(body), read, None, CONVERT)
    except pa.ArrowInvalid:
        return None


def read_days(table: pa.Table) -> npt.NDArray[np.int32]:
    """Days since 1970, NO_DAY where there is none."""
    days: npt.NDArray[np.int32] = table["Date"].cast(pa.int32()).fill_null(NO_DAY).to_numpy()
    return days


def make_volume_whole(table: pa.Table) -> pa.Table:
    """The parsed columns in the schema ROWS. Rows that cannot be in it are left out by the caller."""
    with np.errstate(invalid="ignore"):
        volume = pa.array(table["Volume"].to_numpy().astype(np.int64))
    days, *prices = (column.combine_chunks() for column in table.columns[:-1])
    return pa.Table.from_arrays([days, *prices, volume], schema=ROWS)


def find_doubtful(table: pa.Table) -> npt.NDArray[np.int64]:
    """Indices of the rows with an empty field, a day out of range, a number that is not finite, or a Volume that
    cannot be one.
    """
    doubtful = np.zeros(table.num_rows, dtype=bool)
    with np.errstate(invalid="ignore", over="ignore"):
        for name, column in zip(table.column_names, table.columns, strict=True):
            if name == "Date":
                days = read_days(table)
                doubtful |= (days < FIRST_DAY.toordinal() - EPOCH) | (days > LAST_DAY.toordinal() - EPOCH)
                continue
            values = column.to_numpy()  # nulls become NaN
            if not math.isfinite(values.sum()):
                doubtful |= ~np.isfinite(values)
        volume = table["Volume"].to_numpy()
        doubtful |= ~((volume >= 0) & (volume < VOLUME_LIMIT) & (np.floor(volume) == volume))
    return doubtful.nonzero()[0]


def parse_carefully(body: bytes, columns: list[str]) -> ParsedCsv:
    """Read line by line; what cannot be read is refused with its line number (the header is line 1)."""
    rows: dict[date, Row] = {}
    refused = RefusedLines()
    number, start = 2, 0
    while start < len(body):
        if (end := skip_blank_lines(body, start)) > start:
            lines = count_lines(body[start:end])
            refused.add(number, "", "blank", lines)
            number, start = number + lines, end
            continue
        end = find_line_end(body, start)
        line = body[start:end]
        try:
            row = parse_line(line, columns)
            if row[0] in rows:
                raise LineError("duplicate date")
            rows[row[0]] = row
        except LineError as error:
            refused.add(number, show(line), str(error))
        number, start = number + 1, end + 1
    in_order = [rows[day] for day in sorted(rows)]
    arrays = [pa.array([row[index] for row in in_order], kind) for index, kind in enumerate(ROWS.types)]
    return ParsedCsv(pa.table(arrays, schema=ROWS), refused.to_table(), number - 2)


def find_line_end(body: bytes, start: int) -> int:
    end = body.find(b"\n", start)
    return len(body) if end < 0 else end


def skip_blank_lines(body: bytes, start: int) -> int:
    """Where the first line that is not blank begins, from the line that begins at `start`."""
    blanks = BLANK.match(body, start)
    end = blanks.end() if blanks else start
    return end if end == len(body) else max(start, body.rfind(b"\n", start, end) + 1)
