"""What is asked: the two features out of a query string or a JSON body, checked strictly."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from serving.bundle import FEATURES

NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)  # linear: a digit fits in one place only
LONGEST_BATCH = 10_000
EXAMPLES = dict(zip(FEATURES, ("12345", "25"), strict=True))
LARGEST = 1e18  # far beyond any real volume or price; keeps every product finite
TRUTHS = {"true": True, "1": True, "false": False, "0": False}


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
            raise QuestionError(name, f"There is no parameter {name}; there are {', '.join(FEATURES)} and detail.")
        if len(values) > 1:
            raise QuestionError(name, f"{name} is given {len(values)} times; give it once.")
    volume, price = (read_text_number(name, arguments.get(name, [None])[0]) for name in FEATURES)
    detail = arguments.get("detail", ["false"])[0]
    if detail not in TRUTHS:
        raise QuestionError("detail", f"detail must be true or false, not {detail!r}.")
    return check_volume(volume), price, TRUTHS[detail]


def read_batch(body: Any) -> tuple[list[float], list[float]]:
    """The two features of each row of {"rows": [{"vol_moving_avg": 12345, "adj_close_rolling_med": 25}, ...]}."""
    if not isinstance(body, dict) or set(body) != {"rows"} or not isinstance(body["rows"], list):
        raise QuestionError("rows", 'The body must be {"rows": [...]} with a list of rows and nothing else.')
    rows = body["rows"]
    if not 1 <= len(rows) <= LONGEST_BATCH:
        raise QuestionError("rows", f"rows must hold 1 to {LONGEST_BATCH:,} rows, not {len(rows):,}.")
    for number, row in enumerate(rows):
        if not isinstance(row, dict) or set(row) != set(FEATURES):
            raise QuestionError(f"rows[{number}]", f"A row must be an object with {' and '.join(FEATURES)}.")
        for name in FEATURES:
            check_json_number(f"rows[{number}].{name}", row[name])
    volumes, prices = ([float(row[name]) for row in rows] for name in FEATURES)
    for number, volume in enumerate(volumes):
        check_volume(volume, f"rows[{number}].{FEATURES[0]}")
    return volumes, prices


def read_text_number(name: str, text: str | None) -> float:
    if not text:
        raise QuestionError(name, f"{name} is missing or empty: give a number, for example {name}={EXAMPLES[name]}.")
    if not NUMBER.fullmatch(text):
        raise QuestionError(name, f"{name} must be a number in plain digits, not {text[:40]!r}.")
    return check_size(name, float(text))


def check_json_number(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise QuestionError(name, f"{name} must be a number.")
    check_size(name, value)


def check_size(name: str, value: float) -> float:
    if not -LARGEST <= value <= LARGEST:  # false for a NaN, too
        raise QuestionError(name, f"{name} must be a number between -1e18 and 1e18.")
    return value


def check_volume(volume: float, name: str = FEATURES[0]) -> float:
    if volume < 0:
        raise QuestionError(name, f"{name} is a mean of volumes and cannot be negative.")
    return volume
