"""Which rows the next-day models learn from, which calibrate them and which judge them, and how many are drawn."""

from dataclasses import dataclass, replace

import numpy as np

from pipeline.errors import InputError
from pipeline.forecasting.market_rows import draw_luck, is_held_out
from pipeline.forecasting.next_day.folds import CALIBRATION_DAYS, Fold, cut_folds
from pipeline.forecasting.next_day.symbol_rows import MONTH

ROLES = ("learn", "calibrate", "show")  # what a row is drawn for; it may be drawn for several
TO_DO = ("learn from", "calibrate on", "test on")
SHOWN = 50_000  # rows of the test that are drawn for pictures


@dataclass(frozen=True)
class Plan:
    """Which rows do what in each fold, and which share of them comes back.

    With `hold_out`, one symbol in five calibrates and tests, and the others are learned from, until the test begins.
    Without, all do both, and nothing is learned from the year that calibrates. `refit`: a last model is published,
    which learns from all symbols and days.
    """

    folds: tuple[Fold, ...]
    refit: bool
    hold_out: bool = True
    shares: tuple[float, float, float] = (0.0, 0.0, 0.0)  # of ROLES

    @property
    def latest(self) -> Fold:
        """The year that calibrates what is published after a refit: the last one, with nothing to test after it."""
        end = self.folds[-1].end_day
        return Fold(end - CALIBRATION_DAYS, end, end)

    def may_judge(self, held_out: np.ndarray) -> np.ndarray:
        """Whether rows calibrate and test: those of symbols that are held out, or all. bool[n] each."""
        return held_out if self.hold_out else np.ones(len(held_out), bool)

    def learns(self, fold: Fold, held_out: np.ndarray, day: np.ndarray) -> np.ndarray:
        """Whether the models of a fold learn from these rows. bool[n] and int64[n] to bool[n]."""
        return ~held_out & (day < fold.test_day) if self.hold_out else day < fold.calibration_day

    def find_roles(self, held_out: np.ndarray, day: np.ndarray) -> np.ndarray:
        """Whether each row may be drawn for each of ROLES. bool[n] and int64[n] to bool[3, n]."""
        judges = self.may_judge(held_out)
        years = [*self.folds, self.latest] if self.refit else self.folds
        calibrates = np.logical_or.reduce([fold.calibrates(day) for fold in years])
        tests = np.logical_or.reduce([fold.tests(day) for fold in self.folds])
        learns = np.full(len(day), True) if self.refit else self.learns(self.folds[-1], held_out, day)
        return np.stack([learns, judges & calibrates, judges & tests])

    def draw(self, symbol: np.ndarray, day: np.ndarray) -> np.ndarray:
        """Which rows are drawn for each of ROLES. A row's luck hangs on its symbol and day alone.

        int64[n] each to bool[3, n].
        """
        luck = draw_luck(symbol, day)
        drawn: np.ndarray = self.find_roles(is_held_out(symbol), day) & (luck < np.array(self.shares)[:, None])
        return drawn

    def count_kinds(self, counts: np.ndarray, days: np.ndarray) -> tuple[int, np.ndarray]:
        """The fewest rows that any fold has of any kind, and the rows that `make_plan` tells of.

        What is published is a fold as well: it needs rows of the last year to be calibrated on.
        """
        held_out, day, weight = list_counts(counts, days)
        judges = self.may_judge(held_out)
        kinds = np.array(
            [
                [weight[chosen].sum() for chosen in (self.learns(fold, held_out, day), judges & fold.calibrates(day))]
                for fold in (*self.folds, *[self.latest] * self.refit)
            ]
        )
        tests = weight[self.find_roles(held_out, day)[2]].sum()
        return min(int(kinds.min()), int(tests)), np.array([*kinds[0], tests])

    def draw_at_most(self, rows: int, counts: np.ndarray, days: np.ndarray) -> "Plan":
        """The plan that draws about `rows` rows to learn from, a tenth of that to calibrate each fold, and SHOWN.

        Or all where there are fewer. counts, days: see `make_plan`.
        """
        held_out, day, weight = list_counts(counts, days)
        there = self.find_roles(held_out, day) @ weight
        wanted = (rows, rows // 10 * (len(self.folds) + self.refit), SHOWN)
        learn, calibrate, show = np.minimum(1.0, np.array(wanted) / np.maximum(there, 1)).tolist()
        return replace(self, shares=(learn, calibrate, show))


def make_plan(counts: np.ndarray, days: np.ndarray, test_day: int, folds: int, refit: bool) -> tuple[Plan, np.ndarray]:
    """The plan of a test from `test_day` on, in up to `folds` folds that all have rows to learn and to calibrate from.

    It holds symbols out, if one fold can be made so. counts: int64[2, sessions], rows by whether their symbol is one to
    hold out and by the day of their target; days: int64[sessions]. Returns with it the rows that the first fold learns
    from and is calibrated on, and those of the whole test, int64[3]. Raises InputError if there are none of a kind.
    """
    known = np.flatnonzero(counts.any(axis=0))
    last_day = max(test_day, int(days[known[-1]])) if len(known) else test_day
    for hold_out in (True, False):
        for count in range(folds, 0, -1):
            plan = Plan(cut_folds(test_day, last_day, count), refit, hold_out)
            least, told = plan.count_kinds(counts, days)
            if least > 0:
                return plan, told
    there = ", ".join(f"{count:,} to {name}" for count, name in zip(told, TO_DO, strict=True))
    raise InputError(
        f"The next-day model finds {there} among the pairs of consecutive sessions of the New York exchange, "
        f"of a symbol with {MONTH} days before them: NEXT_DAY=false trains the other model alone."
    )


def list_counts(counts: np.ndarray, days: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Counts that are not 0, see make_plan: whether held out, bool[k]; day and rows, int64[k] each."""
    held_out, place = np.nonzero(counts)
    return held_out > 0, days[place], counts[held_out, place]
