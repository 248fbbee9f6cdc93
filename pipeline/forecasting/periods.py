"""The periods of a comparison, in order of time: train, then calibration, then test."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline.errors import ParameterError

CALIBRATION_YEARS = 3
EPOCH = pd.Timestamp(0)


@dataclass(frozen=True)
class Periods:
    """Models train before `calibration_from`, are chosen and get their intervals until `test_from`, and are judged
    from then on.
    """

    calibration_from: pd.Timestamp
    test_from: pd.Timestamp

    @property
    def calibration_day(self) -> int:
        """calibration_from in days since 1970-01-01."""
        return (self.calibration_from - EPOCH).days

    @property
    def test_day(self) -> int:
        """test_from in days since 1970-01-01."""
        return (self.test_from - EPOCH).days

    @property
    def ends(self) -> np.ndarray:
        """The ends of four periods in days since 1970-01-01: the long past, two as long as the calibration, the
        calibration.
        """
        years = (3, 2, 1, 0)
        ends = [self.test_from - pd.DateOffset(years=CALIBRATION_YEARS * number) for number in years]
        return np.array([(end - EPOCH).days for end in ends])


def plan_periods(test_from: str, first: pd.Timestamp, last: pd.Timestamp) -> Periods:
    """The periods for a test that begins on `test_from`, YYYY-MM-DD. first, last: days of the data.

    Raises ParameterError if nothing is left to train or to test on.
    """
    start = pd.Timestamp(test_from)
    periods = Periods(start - pd.DateOffset(years=CALIBRATION_YEARS), start)
    if not first < periods.calibration_from or not start <= last:
        earliest = (first + pd.DateOffset(years=CALIBRATION_YEARS, days=1)).date()
        raise ParameterError(
            f"TEST_FROM is {test_from}, but the rows with features reach from {first.date()} to {last.date()}: "
            f"choose a day from {earliest} to {last.date()}."
        )
    return periods
