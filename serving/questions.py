"""What is asked: the two features out of a query string, a JSON body or rows of CSV, checked strictly."""

import csv
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from serving.spread import HIGHEST, LOWEST, Wanted
from serving.table import FEATURES

NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)  # linear: a digit fits in one place only
LARGEST_BODY = 2 * 2**20  # bytes: a batch of 10,000 rows with all their digits
LONGEST_BATCH = 10_000
MOST_SYMBOLS = 1_000
LONGEST_SYMBOL = 40  # characters
EXAMPLES = dict(zip(FEATURES, ("12345", "25"), strict=True))
LARGEST = 1e18  # far beyond any real volume or price; keeps every product finite
SPREAD = ("quantiles", "mean")  # what can be asked for beside an answer
MOST_LEVELS = 20
TRUTHS = {"true": True, "1": True, "false": False, "0": False}
CSV_TYPES = {"text/csv": ",", "text/tab-separated-values": "\t"}  # a spreadsheet's clipboard has tabs

Rows = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]  # vol_moving_avg and adj_close_rolling_med of each row


class QuestionError(ValueError):
    """A request that cannot be answered. field: the name of what is wrong in it; the message says what is expected."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


def read_query(arguments: Mapping[str, Sequence[str]]) -> tuple[float, float, bool, Wanted]:
    """vol_moving_avg, adj_close_rolling_med, whether the detailed form is wanted, and what is wanted beside it.

    arguments: name -> all values given.
    """
    check_names(arguments, (*FEATURES, "detail", *SPREAD))
    volume, price = (read_text_number(name, arguments.get(name, [""])[0]) for name in FEATURES)
    return check_volume(volume), price, read_truth(arguments, "detail"), read_wanted(arguments)


def check_names(arguments: Mapping[str, Sequence[str]], known: Sequence[str]) -> None:
    for name, values in arguments.items():
        if name not in known:
            there = f"{', '.join(known[:-1])} and {known[-1]}"
            raise QuestionError(name[:LONGEST_SYMBOL], f"There is no parameter {name[:40]}; there are {there}.")
        if len(values) > 1:
            raise QuestionError(name, f"{name} is given {len(values)} times; give it once.")


def read_truth(arguments: Mapping[str, Sequence[str]], name: str) -> bool:
    text = arguments.get(name, ["false"])[0]
    if text not in TRUTHS:
        raise QuestionError(name, f"{name} must be true or false, not {text[:40]!r}.")
    return TRUTHS[text]


def read_wanted(arguments: Mapping[str, Sequence[str]]) -> Wanted:
    """quantiles=0.1,0.5 and mean=true of a query string."""
    texts = arguments["quantiles"][0].split(",") if "quantiles" in arguments else []
    levels = check_levels((text, float(text) if NUMBER.fullmatch(text) else math.nan) for text in texts[:100])
    return Wanted(levels, read_truth(arguments, "mean"))


def read_wanted_alone(arguments: Mapping[str, Sequence[str]]) -> Wanted:
    """The same of an address that holds nothing else."""
    check_names(arguments, SPREAD)
    return read_wanted(arguments)


def read_wanted_body(body: Mapping[str, object]) -> Wanted:
    """ "quantiles": [0.1, 0.5] and "mean": true of a JSON body."""
    levels, mean = body.get("quantiles", []), body.get("mean", False)
    if not isinstance(levels, list) or ("quantiles" in body and not levels):
        raise QuestionError("quantiles", "quantiles must be a list of levels, for example [0.1, 0.5, 0.9].")
    check_truth("mean", mean)
    numbers = ((json.dumps(one)[:40], one if type(one) is float else math.nan) for one in levels)
    return Wanted(check_levels(numbers), bool(mean))


def check_truth(name: str, value: object) -> None:
    if not isinstance(value, bool):
        raise QuestionError(name, f"{name} must be true or false.")


def check_levels(levels: Iterable[tuple[str, float]]) -> dict[str, float]:
    found = {}
    for text, level in levels:
        if not LOWEST <= level <= HIGHEST:  # true for a NaN, too
            message = f"quantiles must be levels from {LOWEST} to {HIGHEST}, separated by commas, not {text[:40]!r}."
            raise QuestionError("quantiles", message)
        found[text] = level
    if len(found) > MOST_LEVELS:
        raise QuestionError("quantiles", f"There may be {MOST_LEVELS} quantiles, not {len(found)}.")
    return found


def read_json(body: bytes) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise QuestionError("body", "The body is not valid JSON.") from None


def read_batch(body: object) -> tuple[Rows, bool, Wanted]:
    """The two features of each row of {"rows": [{"vol_moving_avg": 12345, "adj_close_rolling_med": 25}, ...]}, whether
    the detailed form is wanted, and what is wanted beside the answers.
    """
    detail: object = False
    if isinstance(body, dict) and "detail" in body:
        detail = body.pop("detail")
        check_truth("detail", detail)
    rows, wanted = read_list(body, "rows")
    return read_rows(rows), bool(detail), wanted


def read_list(body: object, name: str) -> tuple[list[object], Wanted]:
    """The list of that name in a body, and what may be wanted beside; a body has nothing else."""
    if not isinstance(body, dict) or not isinstance(body.get(name), list) or set(body) - {name, *SPREAD}:
        also = "detail, quantiles and mean" if name == "rows" else "quantiles and mean"
        message = f'The body must be {{"{name}": [...]}} with a list of {name} and nothing else but {also}.'
        raise QuestionError(name, message)
    return body[name], read_wanted_body(body)


def read_rows(given: list[object]) -> Rows:
    check_count("rows", len(given), LONGEST_BATCH)
    names, rows = set(FEATURES), []
    for number, row in enumerate(given):
        if not isinstance(row, dict) or row.keys() != names:
            raise QuestionError(f"rows[{number}]", f"A row must be an object with {' and '.join(FEATURES)}.")
        rows.append(row)
    columns = [[row[name] for row in rows] for name in FEATURES]
    if all({type(value) for value in column} <= {int, float} for column in columns):
        try:
            volumes, prices = (np.array(column, dtype=np.float64) for column in columns)
        except OverflowError:  # found below, by name
            pass
        else:
            if are_possible(volumes, prices):
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
    if all(len(row) == len(FEATURES) and all(map(NUMBER.fullmatch, row)) for row in rows):
        values = np.array(rows, dtype=np.float64).T
        volumes, prices = (values[place] for place in places)
        if are_possible(volumes, prices):
            return volumes, prices
    raise find_bad_text(rows, places)


def find_bad_text(rows: Sequence[Sequence[str]], places: Sequence[int]) -> QuestionError:
    """Name the first field that is no number or out of bounds, or the first row that has too few or too many."""
    for number, row in enumerate(rows):
        field = f"rows[{number}]"
        if len(row) != len(FEATURES):
            return QuestionError(field, f"A row must have {len(FEATURES)} fields, not {len(row)}.")
        try:
            volume, _ = (read_text_number(f"{field}.{FEATURES[at]}", row[place]) for at, place in enumerate(places))
            check_volume(volume, f"{field}.{FEATURES[0]}")
        except QuestionError as error:
            return error
    raise AssertionError("all numbers are good")


def are_possible(volumes: npt.NDArray[np.float64], prices: npt.NDArray[np.float64]) -> bool:
    """Whether all are within the bounds that each number is held to."""
    return bool((np.abs(prices) <= LARGEST).all() and ((volumes >= 0) & (volumes <= LARGEST)).all())


def read_symbols(body: object) -> tuple[list[str], Wanted]:
    """The symbols of {"symbols": ["AAPL", ...]}, and what is wanted beside their forecasts."""
    given, wanted = read_list(body, "symbols")
    check_count("symbols", len(given), MOST_SYMBOLS)
    symbols: list[str] = []
    for number, symbol in enumerate(given):
        if not isinstance(symbol, str) or not 1 <= len(symbol) <= LONGEST_SYMBOL:
            raise QuestionError(f"symbols[{number}]", f"A symbol must be text of 1 to {LONGEST_SYMBOL} characters.")
        symbols.append(symbol)
    return symbols, wanted


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
