"""The periods of a comparison, in order of time: train, then calibration, then test."""

from bisect import bisect_left
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, timedelta

import pandas as pd

from pipeline.errors import InputError, ParameterError
from pipeline.parameters import AUTO

CALIBRATION_YEARS = 3
TEST_SHARE = 0.2  # of the days, where TEST_FROM is AUTO
EPOCH = date(1970, 1, 1)
NEEDED = (
    f"Training needs days with a Volume from more than {CALIBRATION_YEARS} years: some to train on, "
    f"{CALIBRATION_YEARS} years to calibrate, some to test on"
)


@dataclass(frozen=True)
class Periods:
    """Models train before `calibration_from`, are chosen and get their intervals until `test_from`, and are judged
    from then on, until `last`, the last day that can be learned from.
    """

    calibration_from: date
    test_from: date
    last: date

    @property
    def calibration_day(self) -> int:
        """calibration_from in days since 1970-01-01."""
        return (self.calibration_from - EPOCH).days

    @property
    def test_day(self) -> int:
        """test_from in days since 1970-01-01."""
        return (self.test_from - EPOCH).days

    @property
    def ends(self) -> list[int]:
        """The ends of four periods before the test, see `find_ends`: the last of them is the calibration."""
        return find_ends(self.test_from)

    @property
    def refit_ends(self) -> list[int]:
        """The ends of the four periods of what is published, which learns from all days."""
        return find_ends(self.last + timedelta(1))

    def name(self, day: date) -> str:
        """The period of a day, as tables show it: in order."""
        if day < self.calibration_from:
            return "1 train"
        return "2 calibration" if day < self.test_from else "3 test"


def plan_periods(test_from: str, daily: pd.DataFrame) -> Periods:
    """The periods for a test that begins on `test_from`: YYYY-MM-DD, or "auto" for the last fifth of the days.

    daily: the rows of `features` by day and state, see `list_days`. Raises InputError if these rows teach nothing,
    whatever the test, and ParameterError if something is left for another `test_from` but not for this one.
    """
    days = list_days(daily)
    choices = [day for day in days if leaves_rows(plan_test(day, days[-1]), days)]
    reach = f"the {len(days):,} days that can be learned from reach from {days[0]} to {days[-1]}"
    if not choices:
        raise InputError(f"{NEEDED}. Here {reach}: add older days, or more of them.")
    start = days[int((1 - TEST_SHARE) * len(days))] if test_from == AUTO else date.fromisoformat(test_from)
    periods = plan_test(start, days[-1])
    if not leaves_rows(periods, days):
        told = f"auto, here {start}" if test_from == AUTO else test_from
        choice = f"choose a day from {choices[0]} to {choices[-1]}"
        raise ParameterError(f"{NEEDED}; TEST_FROM is {told}, but {reach}: {choice}.")
    return periods


def list_days(daily: pd.DataFrame) -> list[date]:
    """The days with a row to learn from, in order.

    daily: a row a day and state, with columns Date; state, "used" or why not; rows; traded, those of them whose
    vol_moving_avg is a share or more: without that a row has no ratio. Raises InputError if there is no such day.
    """
    days = sorted(set(daily.loc[(daily["state"] == "used") & (daily["traded"] > 0), "Date"]))
    if not days:
        states = daily.groupby("state")["rows"].sum().rename({"used": "without a Volume in their window"})
        found = ", ".join(f"{count:,} {state}" for state, count in states.items()) or "none"
        raise InputError(f"Nothing can be learned from the rows of features: {found}. {NEEDED}.")
    return days


def plan_test(start: date, last: date) -> Periods:
    """The periods of a test from `start` to `last`."""
    return Periods(go_back(start, CALIBRATION_YEARS), start, last)


def find_ends(end: date) -> list[int]:
    """The ends of four periods in days since 1970-01-01: the long past, and three of CALIBRATION_YEARS until before
    `end`.
    """
    return [(go_back(end, CALIBRATION_YEARS * number) - EPOCH).days for number in (3, 2, 1, 0)]


def leaves_rows(periods: Periods, days: Sequence[date]) -> bool:
    """Whether each of the periods has one of the days, which are in order."""
    calibration, test = (bisect_left(days, start) for start in (periods.calibration_from, periods.test_from))
    return 0 < calibration < test < len(days)


def go_back(day: date, years: int) -> date:
    """The same day so many years before; the last of February for its 29th."""
    year = max(day.year - years, date.min.year)
    with suppress(ValueError):
        return day.replace(year=year)
    return day.replace(year=year, day=28)
