"""Walking forward: the test cut into stretches, each forecast by models that learned from the days before it alone.

A model that stands still for years is judged on what it never is asked in practice. So it is fitted again from time to
time (rolling-origin evaluation: Tashman, "Out-of-sample tests of forecasting accuracy", 2000).
"""

from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise

import numpy as np

from pipeline.forecasting.periods import EPOCH, go_back

CALIBRATION_DAYS = 365  # before each stretch: what sets its intervals
YEAR_DAYS = 365.25


@dataclass(frozen=True)
class Fold:
    """A stretch of the test, from `test_day` until before `end_day`, and the year before it, from `calibration_day`.

    Days since 1970-01-01, of the target.
    """

    calibration_day: int
    test_day: int
    end_day: int

    def calibrates(self, day: np.ndarray) -> np.ndarray:
        """Whether each day lies in the year before. int64[n] to bool[n]."""
        return (self.calibration_day <= day) & (day < self.test_day)

    def tests(self, day: np.ndarray) -> np.ndarray:
        """Whether each day lies in the stretch. int64[n] to bool[n]."""
        return (self.test_day <= day) & (day < self.end_day)

    @property
    def name(self) -> str:
        """Its first and its last day."""
        return f"{format_day(self.test_day)} to {format_day(self.end_day - 1)}"


def format_day(day: int) -> str:
    """A day since 1970-01-01 as 2020-01-31."""
    return str(np.datetime64(int(day), "D"))


def cut_folds(test_day: int, last_day: int, count: int) -> tuple[Fold, ...]:
    """The test, from `test_day` to `last_day`, in up to `count` stretches of whole years, the last one with the rest.

    There are no more of them than whole years, and one where there is less than a year.
    """
    years = max(1, round((last_day + 1 - test_day) / YEAR_DAYS))
    count = min(count, years)
    first = EPOCH + timedelta(test_day)
    starts = [(go_back(first, -(years * number // count)) - EPOCH).days for number in range(count)]
    return tuple(Fold(start - CALIBRATION_DAYS, start, end) for start, end in pairwise([*starts, last_day + 1]))
