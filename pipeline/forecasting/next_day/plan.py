"""Which rows the next-day model trains on, which calibrate it and which judge it, and how many of them are drawn."""

from dataclasses import dataclass, replace

import numpy as np

from pipeline.errors import InputError
from pipeline.forecasting.market_rows import draw_luck, is_held_out
from pipeline.forecasting.next_day.features import MONTH

PERIODS = ("train", "calibration", "test")
TO_DO = ("train on", "calibrate on", "test on")


@dataclass(frozen=True)
class Plan:
    """Which rows belong to which period, and which share of them comes back.

    Rows train until `calibration_day`, calibrate until `test_day`, and test from then on. Days since 1970-01-01, of
    the target. With `hold_out`, one symbol in five calibrates and tests, and the others train; without, all do both.
    """

    calibration_day: int
    test_day: int
    shares: tuple[float, float, float] = (0.0, 0.0, 0.0)  # of PERIODS
    hold_out: bool = True

    def find_times(self, day: np.ndarray) -> np.ndarray:
        """Position in PERIODS of each day, whoever's. int64[n] each."""
        return np.searchsorted([self.calibration_day, self.test_day], day, side="right")

    def find_periods(self, symbol: np.ndarray, day: np.ndarray) -> np.ndarray:
        """Position in PERIODS of each row, -1 for none. int64[n] each."""
        period = self.find_times(day)
        return np.where(is_held_out(symbol) == (period > 0), period, -1) if self.hold_out else period

    def count(self, symbol: np.ndarray, day: np.ndarray) -> np.ndarray:
        """Rows by whether their symbol is one of those to hold out, and by find_times. int64[n] each to int64[2, 3]."""
        place = is_held_out(symbol) * len(PERIODS) + self.find_times(day)
        return np.bincount(place, minlength=2 * len(PERIODS)).astype(np.int64).reshape(2, -1)

    def choose_symbols(self, counts: np.ndarray) -> tuple["Plan", np.ndarray]:
        """The plan that holds symbols out, or does not where too few are there, and how many rows its PERIODS have.

        counts: see `count`. Raises InputError if a period has none either way.
        """
        apart, together = np.array([counts[0, 0], *counts[1, 1:]]), counts.sum(axis=0)
        if not together.all():
            found = ", ".join(f"{count:,} to {name}" for count, name in zip(together, TO_DO, strict=True))
            raise InputError(
                f"The next-day model finds {found} among the pairs of consecutive sessions of the New York exchange, "
                f"of a symbol with {MONTH} days before them: NEXT_DAY=false trains the other model alone."
            )
        return (self, apart) if apart.all() else (replace(self, hold_out=False), together)

    def draw_at_most(self, rows: int, counts: np.ndarray) -> "Plan":
        """The plan that draws about `rows` rows to train on and a quarter of that for each of the other periods.

        Or all where there are fewer. counts: int64[3], rows of PERIODS.
        """
        wanted = (rows, rows // 4, rows // 4)
        return replace(
            self, shares=tuple(min(1.0, most / max(1, count)) for most, count in zip(wanted, counts, strict=True))
        )

    def draw(self, symbol: np.ndarray, day: np.ndarray) -> np.ndarray:
        """The periods of rows, -1 also for those that are not drawn. A row's luck hangs on its symbol and day alone."""
        period = self.find_periods(symbol, day)
        luck = draw_luck(symbol, day)
        return np.where(luck < np.array([*self.shares, 0.0])[period], period, -1)
