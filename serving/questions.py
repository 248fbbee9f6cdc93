"""What is asked: the two features out of a query string, a JSON body or rows of CSV, checked strictly."""

import csv
import json
import re
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from serving.model import FEATURES

NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)  # linear: a digit fits in one place only
LARGEST_BODY = 2 * 2**20  # bytes: a batch of 10,000 rows with all their digits
LONGEST_BATCH = 10_000
MOST_SYMBOLS = 1_000
LONGEST_SYMBOL = 40  # characters
EXAMPLES = dict(zip(FEATURES, ("12345", "25"), strict=True))
LARGEST = 1e18  # far beyond any real volume or price; keeps every product finite
TRUTHS = {"true": True, "1": True, "false": False, "0": False}
CSV_TYPES = {"text/csv": ",", "text/tab-separated-values": "\t"}  # a spreadsheet's clipboard has tabs

Rows = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]  # vol_moving_avg and adj_close_rolling_med of each row


class QuestionError(ValueError):
    """A request that cannot be answered. field: the name of what is wrong in it; the message says what is expected."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


def read_query(arguments: Mapping[str, Sequence[str]]) -> tuple[float, float, bool]:
    """vol_moving_avg, adj_close_rolling_med and whether the detailed form is wanted.

    arguments: name -> all values given.
    """
    for name, values in arguments.items():
        if name not in (*FEATURES, "detail"):
            raise QuestionError(
                name[:LONGEST_SYMBOL], f"There is no parameter {name[:40]}; there are {', '.join(FEATURES)} and detail."
            )
        if len(values) > 1:
            raise QuestionError(name, f"{name} is given {len(values)} times; give it once.")
    volume, price = (read_text_number(name, arguments.get(name, [""])[0]) for name in FEATURES)
    detail = arguments.get("detail", ["false"])[0]
    if detail not in TRUTHS:
        raise QuestionError("detail", f"detail must be true or false, not {detail[:40]!r}.")
    return check_volume(volume), price, TRUTHS[detail]


def read_json(body: bytes) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise QuestionError("body", "The body is not valid JSON.") from None


def read_batch(body: object) -> Rows:
    """The two features of each row of {"rows": [{"vol_moving_avg": 12345, "adj_close_rolling_med": 25}, ...]}."""
    if not isinstance(body, dict) or set(body) != {"rows"} or not isinstance(body["rows"], list):
        raise QuestionError("rows", 'The body must be {"rows": [...]} with a list of rows and nothing else.')
    rows = body["rows"]
    check_count("rows", len(rows), LONGEST_BATCH)
    names = set(FEATURES)
    for number, row in enumerate(rows):
        if not isinstance(row, dict) or row.keys() != names:
            raise QuestionError(f"rows[{number}]", f"A row must be an object with {' and '.join(FEATURES)}.")
    columns = [[row[name] for row in rows] for name in FEATURES]
    if all({type(value) for value in column} <= {int, float} for column in columns):
        try:
            volumes, prices = (np.array(column, dtype=np.float64) for column in columns)
        except OverflowError:  # found below, by name
            pass
        else:
            if (np.abs(prices) <= LARGEST).all() and ((volumes >= 0) & (volumes <= LARGEST)).all():
                return volumes, prices
    raise find_bad_number(columns)


def find_bad_number(columns: Sequence[Sequence[object]]) -> QuestionError:
    """Name the first number that is none, or out of bounds."""
    for number, row in enumerate(zip(*columns, strict=True)):
        for name, value in zip(FEATURES, row, strict=True):
            field = f"rows[{number}].{name}"
            if isinstance(value, bool) or not isinstance(value, int | float):
                return QuestionError(field, f"{field} must be a number.")
            try:
                check_size(field, value)
                if name == FEATURES[0]:
                    check_volume(value, field)
            except QuestionError as error:
                return error
    raise AssertionError("all numbers are good")


def read_csv(body: bytes, separator: str) -> Rows:
    """The two features of each line of CSV, whose header names them in any order."""
    try:
        lines = list(csv.reader(body.decode("utf-8-sig").splitlines(), delimiter=separator, strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise QuestionError("body", f"The body is not valid CSV: {error}.") from None
    header = lines[0] if lines else []
    if sorted(header) != sorted(FEATURES):
        raise QuestionError("header", f"The first line must be {separator.join(FEATURES)}.")
    places = [header.index(name) for name in FEATURES]
    rows = [line for line in lines[1:] if line]
    check_count("rows", len(rows), LONGEST_BATCH)
    values = np.empty((2, len(rows)))
    for number, row in enumerate(rows):
        if len(row) != len(FEATURES):
            raise QuestionError(f"rows[{number}]", f"A row must have {len(FEATURES)} fields, not {len(row)}.")
        for at, (name, place) in enumerate(zip(FEATURES, places, strict=True)):
            values[at, number] = read_text_number(f"rows[{number}].{name}", row[place])
        check_volume(values[0, number], f"rows[{number}].{FEATURES[0]}")
    return values[0], values[1]


def read_symbols(body: object) -> list[str]:
    """The symbols of {"symbols": ["AAPL", ...]}."""
    if not isinstance(body, dict) or set(body) != {"symbols"} or not isinstance(body["symbols"], list):
        raise QuestionError("symbols", 'The body must be {"symbols": ["AAPL", ...]} and nothing else.')
    symbols: list[str] = body["symbols"]
    check_count("symbols", len(symbols), MOST_SYMBOLS)
    for number, symbol in enumerate(symbols):
        if not isinstance(symbol, str) or not 1 <= len(symbol) <= LONGEST_SYMBOL:
            raise QuestionError(f"symbols[{number}]", f"A symbol must be text of 1 to {LONGEST_SYMBOL} characters.")
    return symbols


def check_count(field: str, count: int, most: int) -> None:
    if not 1 <= count <= most:
        raise QuestionError(field, f"There must be 1 to {most:,} {field}, not {count:,}.")


def read_text_number(name: str, text: str) -> float:
    if not text:
        feature = name.rpartition(".")[2]
        example = f"{feature}={EXAMPLES[feature]}"
        raise QuestionError(name, f"{name} is missing or empty: give a number, for example {example}.")
    if not NUMBER.fullmatch(text):
        raise QuestionError(name, f"{name} must be a number in plain digits, not {text[:40]!r}.")
    return check_size(name, float(text))


def check_size(name: str, value: float) -> float:
    if not -LARGEST <= value <= LARGEST:  # false for a NaN, too
        raise QuestionError(name, f"{name} must be a number between -1e18 and 1e18.")
    return value


def check_volume(volume: float, name: str = FEATURES[0]) -> float:
    if volume < 0:
        raise QuestionError(name, f"{name} is a mean of volumes and cannot be negative.")
    return volume
