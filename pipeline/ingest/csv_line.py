"""One line of a CSV, read with care: its fields, its values, or the reason to refuse it.

This is the definition of what a good row is. The fast ways of `market_csv` say the same or nothing.
"""

import math
import re
from datetime import date

from pipeline.datasets.contract import CSV_COLUMNS

Row = tuple[date, float, float, float, float, float, int]

VOLUME_LIMIT = 2**53  # from here on doubles skip whole numbers
FIRST_DAY, LAST_DAY = (
    date(1678, 1, 1),
    date(2261, 12, 31),
)  # what pandas can keep as nanoseconds; beyond is a slip of the pen
LONGEST_HEADER = 2**20  # bytes; what is longer names no columns
BLANKS = " \t"
DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
# A field in quotes, up to the comma or the end. The quantifiers that give nothing back (*+) keep it linear.
QUOTED = re.compile(r'[ \t]*+"([^"]*+(?:""[^"]*+)*+)"[ \t]*+(?=,|\Z)')


class LineError(ValueError):
    """Why a line is refused: the message is a key of contract.REASONS."""


def read_header(line: bytes) -> list[str] | None:
    """The names of the columns, or None if one of the seven is absent or there twice."""
    if len(line) > LONGEST_HEADER:
        return None
    try:
        names = [name.strip() for name in split_fields(line.decode())]
    except (UnicodeDecodeError, LineError):
        return None
    return names if all(names.count(column) == 1 for column in CSV_COLUMNS) else None


def parse_line(line: bytes, columns: list[str]) -> Row:
    """Date, five prices and Volume of one line. Raises LineError with the reason to refuse it."""
    if b"\0" in line:
        raise LineError("encoding")
    try:
        text = line.decode()
    except UnicodeDecodeError:
        raise LineError("encoding") from None
    if not text.strip(BLANKS):
        raise LineError("blank")
    fields = split_fields(text, len(columns))
    if len(fields) != len(columns):
        raise LineError("fields")
    by_name = dict(zip(columns, (field.strip(BLANKS) for field in fields), strict=True))
    day, *numbers = (by_name[column] for column in CSV_COLUMNS)
    if not day or not all(numbers):
        raise LineError("blank")
    first, high, low, close, adj_close, volume = (parse_number(number) for number in numbers)
    return parse_day(day), first, high, low, close, adj_close, parse_volume(volume)


def find_fault(line: bytes, columns: list[str]) -> str | None:
    """The reason to refuse a line, or None if there is none."""
    try:
        parse_line(line, columns)
    except LineError as error:
        return str(error)
    return None


def split_fields(text: str, most: int = LONGEST_HEADER) -> list[str]:
    """The fields of a line, without their quotes. Blanks around quotes are no part of a field, and a quote inside of
    a field that does not begin with one is a character like others.

    most: how many fields are looked for; a line with more has a last one too many. Raises LineError for a quote that
    is left open, or goes on after its end.
    """
    if '"' not in text:
        return text.split(",", most)
    fields: list[str] = []
    start = 0
    while len(fields) <= most:
        if quoted := QUOTED.match(text, start):
            end = quoted.end()
            fields.append(quoted[1].replace('""', '"'))
        else:
            comma = text.find(",", start)
            end = len(text) if comma < 0 else comma
            fields.append(text[start:end])
            if fields[-1].lstrip(BLANKS).startswith('"'):
                raise LineError("fields")
        if end == len(text):
            break
        start = end + 1
    return fields


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
