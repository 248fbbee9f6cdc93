"""The one table of parameters: their types, ranges and choices, for the notebooks and for `run_all.py`."""

import difflib
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from typing import Any

from pipeline.errors import ParameterError

AUTO = "auto"  # instead of a day: the project chooses one that suits the data
MODEL_NAMES = ("naive", "naive_scaled", "linear", "random_forest", "xgboost", "hist_gradient_boosting", "grid")


@dataclass(frozen=True)
class Parameter:
    """What a value must be. kind: str, int, float or bool; choices are for text, the range for numbers."""

    kind: type
    help: str
    choices: tuple[str, ...] = ()
    at_least: float | None = None
    at_most: float | None = None
    listed: bool = False  # several choices, separated by commas
    day: bool = False  # text that is a day, YYYY-MM-DD, or AUTO
    needed: bool = False  # text that must not be empty
    of_run: bool = False  # of run_all.py itself; no notebook declares it
    default: Any = None  # of a parameter of the run


PARAMETERS = {
    "RUN_DIR": Parameter(str, "folder for everything that a run makes, or its URL: s3://bucket/market", needed=True),
    "SPARK_MASTER": Parameter(str, "where Spark runs: local[*], local[2], spark://host:7077", needed=True),
    "SOURCE": Parameter(str, "where the CSVs come from", choices=("auto", "sample", "folder", "kaggle")),
    "DATA_DIR": Parameter(str, "for SOURCE folder: the folder with stocks/ and etfs/, or its zip, or the URL of one"),
    "UPDATE": Parameter(bool, "whether DATA_DIR is brought up to the last close before it is read"),
    "SYMBOLS": Parameter(str, "for UPDATE: whom to follow, as AAPL,BRK.B or a file; empty: whoever has a file"),
    "MAX_QUARANTINE_SHARE": Parameter(float, "largest share of refused rows that is published", at_least=0, at_most=1),
    "WINDOW_DAYS": Parameter(int, "length of the window in days", at_least=2, at_most=1000),
    "WINDOW_RULE": Parameter(str, "what a day of the window is", choices=("rows", "calendar")),
    "TEST_FROM": Parameter(str, "first day of the test period; auto: the last fifth of the days", day=True),
    "MODELS": Parameter(str, "the models to train, separated by commas", choices=MODEL_NAMES, listed=True),
    "NEXT_DAY": Parameter(bool, "whether to train the next-day model"),
    "NEXT_DAY_ROWS": Parameter(
        int, "rows that the next-day model trains on, at most", at_least=1_000, at_most=100_000_000
    ),
    "FOLDS": Parameter(
        int, "how often the next-day models are fitted anew within the test, at most", at_least=1, at_most=50
    ),
    "REFIT": Parameter(bool, "whether what is published learns from all days once it has been judged"),
    "DEVICE": Parameter(str, "where XGBoost trains", choices=("cpu", "cuda")),
    "TUNNEL": Parameter(str, "whether to open a public link", choices=("auto", "ngrok", "none")),
    "PORT": Parameter(
        int, "port that --serve listens on, 0 for any", at_least=0, at_most=65_535, of_run=True, default=8_000
    ),
    "CELL_TIMEOUT": Parameter(
        int, "seconds that one cell may take", at_least=1, at_most=86_400, of_run=True, default=7_200
    ),
    "KEEP": Parameter(int, "versions and runs to keep", at_least=1, at_most=1_000, of_run=True, default=3),
    "LEFTOVER_HOURS": Parameter(
        int,
        "age at which a store is cleared of what a killed run left",
        at_least=0,
        at_most=8_760,
        of_run=True,
        default=24,
    ),
}


def check_parameters(**values: Any) -> None:
    """Raise ParameterError, which names the remedy, unless every value is one that its parameter can have."""
    for name, value in values.items():
        if name not in PARAMETERS:
            raise ParameterError(f"There is no parameter {name}{suggest(name, PARAMETERS)}")
        check_value(name, value, PARAMETERS[name])


def check_value(name: str, value: Any, parameter: Parameter) -> None:
    kinds = (int, float) if parameter.kind is float else (parameter.kind,)
    if type(value) not in kinds or (parameter.needed and not value.strip()):
        raise ParameterError(f"{name} must be {describe(parameter)}, not {value!r}.")
    if parameter.listed or parameter.choices:
        check_choices(name, value, parameter)
    low, high = parameter.at_least, parameter.at_most
    if (low is not None and not value >= low) or (high is not None and not value <= high):
        raise ParameterError(f"{name} must be {describe(parameter)}, not {value!r}.")
    if parameter.day and not is_day(value):
        raise ParameterError(f"{name} must be {describe(parameter)}, not {value!r}.")


def check_choices(name: str, value: str, parameter: Parameter) -> None:
    given = [one.strip() for one in value.split(",")] if parameter.listed else [value]
    for one in given:
        if one not in parameter.choices:
            hint = suggest(one, parameter.choices)
            raise ParameterError(f"{name} must be {describe(parameter)}, not {one!r}{hint}")


def is_day(value: str) -> bool:
    """Whether the text is a day, YYYY-MM-DD, or AUTO in its place."""
    with suppress(ValueError):
        return value == AUTO or date.fromisoformat(value).isoformat() == value
    return False


def describe(parameter: Parameter) -> str:
    """What a value must be, as it continues "must be"."""
    if parameter.choices:
        many = "one or more of" if parameter.listed else "one of"
        return f"{many} {', '.join(parameter.choices)}"
    kind = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}[parameter.kind]
    if parameter.day:
        kind += f" that is a day as YYYY-MM-DD, or {AUTO}"
    if parameter.needed:
        kind += " that is not empty"
    if parameter.at_least is not None:
        kind += f" from {parameter.at_least} to {parameter.at_most}"
    return kind


def suggest(name: str, known: Iterable[str]) -> str:
    """The end of a sentence about a wrong name: the nearest right one as a question, or a full stop if none is near."""
    by_case = {one.lower(): one for one in known}
    near = difflib.get_close_matches(name.lower(), by_case, n=1, cutoff=0.5)
    return f": did you mean {by_case[near[0]]}?" if near else "."
