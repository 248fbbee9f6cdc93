"""CSVs to Arrow tables: fast where a file is clean, line by line where it is not.

Files that look like all the others are parsed together, by one call of pyarrow, and their columns are checked as a
whole. A file that this cannot vouch for is read again by itself; there too pyarrow goes first, and what it cannot
vouch for is read by the careful way, which finds the lines to refuse and says why. All give the same numbers for the
same text.
"""

import csv
import math
import re
from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa
from pyarrow import csv as arrow_csv

from pipeline.datasets.contract import CSV_COLUMNS, PRICE_COLUMNS

USUAL_HEADER = ",".join(CSV_COLUMNS).encode() + b"\n"
BOM = b"\xef\xbb\xbf"
VOLUME_LIMIT = 2**53  # from here on doubles skip whole numbers
FIRST_DAY, LAST_DAY = (
    date(1678, 1, 1),
    date(2261, 12, 31),
)  # what pandas can keep as nanoseconds; beyond is a slip of the pen
EPOCH = date(1970, 1, 1).toordinal()
NO_DAY = -(2**31)
DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
BLANKS = " \t"

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
# A block larger than what is parsed at once: one chunk a column.
READ = arrow_csv.ReadOptions(use_threads=False, block_size=2**30)


@dataclass(frozen=True)
class Refusal:
    """A line, or a whole file (line is None), that was not published. reason: a key of contract.REASONS."""

    line: int | None
    text: str
    reason: str
    rows: int = 1


@dataclass(frozen=True)
class ParsedCsv:
    """A file, read: `table` (schema ROWS, by date, no date twice) and `refused`. data_rows counts the lines below the
    header.
    """

    table: pa.Table
    refused: tuple[Refusal, ...]
    data_rows: int


class LineError(ValueError):
    """Why a line is refused: the message is a key of contract.REASONS."""


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
    body = b"".join([USUAL_HEADER, *(memoryview(data)[len(USUAL_HEADER) :] for data in files)])
    rows = np.array([count_ends(data) - 1 for data in files], dtype=np.int64)
    try:
        table = arrow_csv.read_csv(pa.BufferReader(body), READ, None, CONVERT)
    except pa.ArrowInvalid:
        return [None] * len(files)
    if table.num_rows != rows.sum():
        return [None] * len(files)
    ends = rows.cumsum()
    starts = ends - rows
    days = read_days(table)
    backwards = np.setdiff1d(np.flatnonzero(days[1:] <= days[:-1]) + 1, starts)
    doubtful = set(np.searchsorted(ends, np.concatenate([find_doubtful(table), backwards]), side="right"))
    table = make_volume_whole(table)
    return [
        None if number in doubtful else ParsedCsv(table.slice(start, count), (), count)
        for number, (start, count) in enumerate(zip(starts.tolist(), rows.tolist(), strict=True))
    ]


def count_ends(data: bytes) -> int:
    """Line feeds in it: numpy counts four times as fast as bytes.count."""
    return int(np.count_nonzero(np.frombuffer(data, np.uint8) == ord("\n")))


def parse_market_csv(data: bytes) -> ParsedCsv:
    """Read the bytes of one CSV. Columns are found by name; others are ignored. Never raises for what the bytes
    hold.
    """
    data = data.removeprefix(BOM)
    lines = count_ends(data) + (not data.endswith(b"\n") and bool(data))
    if not data:
        return refuse_file("", "empty file", 0)
    end = data.find(b"\n")
    header = (data if end < 0 else data[:end]).removesuffix(b"\r")
    columns = read_header(header)
    if columns is None:
        return refuse_file(show(header), "header", lines - 1)
    if lines == 1:
        return refuse_file(show(header), "no data", 0)
    body = data[end + 1 :]
    return parse_fast(data, body, lines - 1, columns) or parse_carefully(body, columns)


def is_utf8(data: bytes) -> bool:
    if data.isascii():
        return True
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def read_header(line: bytes) -> list[str] | None:
    """The names of the columns, or None if one of the seven is absent or there twice."""
    try:
        names = [name.strip() for name in next(csv.reader([line.decode()], strict=True), [])]
    except (UnicodeDecodeError, csv.Error):
        return None
    return names if all(names.count(column) == 1 for column in CSV_COLUMNS) else None


def parse_fast(data: bytes, body: bytes, data_rows: int, columns: list[str]) -> ParsedCsv | None:
    """The file by pyarrow, with a careful look at the lines that it could not fill; None where lines and rows may not
    agree.
    """
    if b"\0" in data or (b"\r" in data and data.count(b"\r") != data.count(b"\r\n")) or not is_utf8(data):
        return None
    try:
        table = arrow_csv.read_csv(pa.BufferReader(data), READ, None, CONVERT)
    except (pa.ArrowInvalid, pa.ArrowKeyError):
        return None
    if table.num_rows != data_rows:
        return None
    doubtful = find_doubtful(table)
    refused = []
    if len(doubtful):
        lines = body.split(b"\n")
        for row in doubtful:
            reason = find_fault(lines[row].removesuffix(b"\r"), columns)
            if reason is None:
                return None
            refused.append(Refusal(int(row) + 2, show(lines[row].removesuffix(b"\r")), reason))
        keep = np.ones(data_rows, dtype=bool)
        keep[doubtful] = False
        table = table.filter(pa.array(keep))
    days = read_days(table)
    if not (days[1:] > days[:-1]).all():
        return None
    return ParsedCsv(make_volume_whole(table), tuple(refused), data_rows)


def read_days(table: pa.Table) -> np.ndarray:
    """Days since 1970, int32, NO_DAY where there is none."""
    return table["Date"].cast(pa.int32()).fill_null(NO_DAY).to_numpy()


def make_volume_whole(table: pa.Table) -> pa.Table:
    """The parsed columns in the schema ROWS. Rows that cannot be in it are left out by the caller."""
    with np.errstate(invalid="ignore"):
        volume = pa.array(table["Volume"].to_numpy().astype(np.int64))
    days, *prices = (column.combine_chunks() for column in table.columns[:-1])
    return pa.Table.from_arrays([days, *prices, volume], schema=ROWS)


def find_doubtful(table: pa.Table) -> np.ndarray:
    """Indices of the rows with an empty field, a day out of range, a number that is not finite, or a Volume that
    cannot be one.
    """
    doubtful = np.zeros(table.num_rows, dtype=bool)
    for name, column in zip(table.column_names, table.columns, strict=True):
        if name == "Date":
            days = read_days(table)
            doubtful |= (days < FIRST_DAY.toordinal() - EPOCH) | (days > LAST_DAY.toordinal() - EPOCH)
            continue
        values = column.to_numpy()  # nulls become NaN
        if not math.isfinite(values.sum()):
            doubtful |= ~np.isfinite(values)
    volume = table["Volume"].to_numpy()
    with np.errstate(invalid="ignore"):
        doubtful |= ~((volume >= 0) & (volume < VOLUME_LIMIT) & (np.floor(volume) == volume))
    return doubtful.nonzero()[0]


def find_fault(line: bytes, columns: list[str]) -> str | None:
    """The reason to refuse a line, or None if there is none."""
    try:
        parse_line(line, columns)
    except LineError as error:
        return str(error)
    return None


def parse_carefully(body: bytes, columns: list[str]) -> ParsedCsv:
    """Read line by line; what cannot be read is refused with its line number (the header is line 1)."""
    rows: dict[date, tuple] = {}
    refused = []
    lines = body.removesuffix(b"\n").split(b"\n")
    for number, line in enumerate(lines, start=2):
        line = line.removesuffix(b"\r")
        try:
            day, *values = parse_line(line, columns)
            if day in rows:
                raise LineError("duplicate date")
            rows[day] = (day, *values)
        except LineError as error:
            refused.append(Refusal(number, show(line), str(error)))
    in_order = [rows[day] for day in sorted(rows)]
    arrays = [pa.array([row[index] for row in in_order], kind) for index, kind in enumerate(ROWS.types)]
    return ParsedCsv(pa.table(arrays, schema=ROWS), tuple(refused), len(lines))


def parse_line(line: bytes, columns: list[str]) -> tuple:
    """Date, five prices as float and Volume as int of one line. Raises LineError with the reason to refuse it."""
    try:
        text = line.decode()
    except UnicodeDecodeError:
        raise LineError("encoding") from None
    if "\0" in text:
        raise LineError("encoding")
    if not text.strip(BLANKS):
        raise LineError("blank")
    try:
        (fields,) = csv.reader([text], strict=True)
    except (csv.Error, ValueError):
        raise LineError("fields") from None
    if len(fields) != len(columns):
        raise LineError("fields")
    by_name = dict(zip(columns, (field.strip(BLANKS) for field in fields), strict=True))
    day, *numbers = (by_name[column] for column in CSV_COLUMNS)
    if not day or not all(numbers):
        raise LineError("blank")
    *prices, volume = (parse_number(number) for number in numbers)
    return (parse_day(day), *prices, parse_volume(volume))


def parse_day(text: str) -> date:
    if not DAY.fullmatch(text):
        raise LineError("date")
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise LineError("date") from None
    if not FIRST_DAY <= day <= LAST_DAY:
        raise LineError("date")
    return day


def parse_number(text: str) -> float:
    number = float(text) if NUMBER.fullmatch(text) else math.nan
    if not math.isfinite(number):
        raise LineError("number")
    return number


def parse_volume(number: float) -> int:
    if not (0 <= number < VOLUME_LIMIT and number.is_integer()):
        raise LineError("volume")
    return int(number)


def refuse_file(text: str, reason: str, rows: int) -> ParsedCsv:
    return ParsedCsv(ROWS.empty_table(), (Refusal(None, text, reason, rows),), rows)


def show(line: bytes) -> str:
    """A line as text that any reader can show: bytes that are not UTF-8, and NUL, as \\xNN."""
    return line.decode(errors="backslashreplace").replace("\0", "\\x00")
