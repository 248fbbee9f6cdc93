"""All that models of the same day learn from, counted in one pass over `features`: histograms, moments, a sample.

What comes back has the same size for any number of rows. Histograms are whole numbers, which add up to the same sums in
any order. The moments are floating-point numbers, added up in the order of the parts.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise
from operator import add

import numpy as np
import pandas as pd
from pyspark.sql import SparkSession

from pipeline.datasets.places import Place
from pipeline.forecasting.chunks import gather
from pipeline.forecasting.market_rows import MarketRows, concatenate, draw_luck, is_held_out, read_rows
from pipeline.forecasting.periods import Periods
from pipeline.forecasting.same_day.grid import BINS, SHAPE, find_bins, find_cells
from pipeline.forecasting.same_day.moments import Moments, measure_moments

FADING, YEAR = 0.8, 365  # of its weight a row keeps, whenever it is a year of so many days older
YEARS_AHEAD, YEARS_BACK = 10, 60  # of the test's first day: beyond, a weight stays as it is
SHARES_UNIT = 2**10  # of a weighted share: it is counted in so many whole parts
LUCKY = 0.8  # of the rows learn in a random split
SIZE_EDGES = 2.0 ** np.arange(-5, 40, 0.125)  # shares: fine enough to cut the rows into tenths
CELLS = int(np.prod((*SHAPE, BINS)))  # of the grid, times the bins of a ratio


@dataclass(frozen=True)
class Plan:
    """What is counted apart: rows before, between and after `cuts`, rising days, the two others among them.

    Rows from `calibration_day` on are drawn into the sample with the chance `share`; those until `test_day` count once
    more with yesterday's window, in a slot behind the others. int64[k] and days since 1970-01-01.
    """

    cuts: np.ndarray
    calibration_day: int
    test_day: int
    share: float

    @property
    def slots(self) -> int:
        """How many slots of time there are, with that of yesterday's window."""
        return len(self.cuts) + 2


def plan_counts(periods: Periods, daily: pd.DataFrame, sample: int) -> Plan:
    """A plan for the periods of the comparison and of what is published, with about `sample` rows drawn.

    daily: see days.count_days.
    """
    late = (daily["state"] == "used") & (daily["Date"] >= periods.calibration_from)
    cuts = sorted({*periods.ends, *periods.refit_ends[:-1]})
    share = sample / daily.loc[late, "rows"].sum()
    return Plan(np.array(cuts), periods.calibration_day, periods.test_day, share)


@dataclass(frozen=True)
class Counts:
    """Histograms of the ratio in each cell of the grid, slot by slot, as the places that are filled: int[k] each.

    rows: each row counts as 1. shares: each counts as its vol_moving_avg, since an error of one percent costs as many
    shares, and less if it is old (see FADING), in units of 1 / SHARES_UNIT. moments: of the rows to train on, to
    calibrate on, to test on. sizes: int64[len(SIZE_EDGES) + 1], the test's rows by vol_moving_avg. sample: rows of the
    calibration and the test.
    """

    plan: Plan
    places: np.ndarray
    rows: np.ndarray
    shares: np.ndarray
    moments: tuple[Moments, ...]
    sizes: np.ndarray
    sample: MarketRows

    def learn(self, periods: int) -> "Learned":
        """What models learn from all days of the first so many periods: train, calibration, test."""
        ends = [self.plan.calibration_day, self.plan.test_day, None]
        return Learned(self.sum_shares(end=ends[periods - 1]), reduce(add, self.moments[:periods]))

    def sum_rows(self, ends: list[int]) -> np.ndarray:
        """The rows of the periods that end before the days `ends`, one after the other. int64[k, *SHAPE, BINS]."""
        periods = (self.find_slots(first, end) for first, end in pairwise([None, *ends]))
        return np.stack([self.sum_up(self.rows, slots, (0, 1)) for slots in periods])

    def sum_shares(
        self, first: int | None = None, end: int | None = None, marked: tuple[int, ...] = (0, 1)
    ) -> np.ndarray:
        """The shares of the days from `first` until before `end`. int64[*SHAPE, BINS].

        marked: 0 for rows that are not marked, 1 for those that are, see `mark_rows`.
        """
        return self.sum_up(self.shares, self.find_slots(first, end), marked)

    def sum_yesterday(self) -> np.ndarray:
        """In shares, the calibration's rows with yesterday's window. int64[*SHAPE, BINS]."""
        return self.sum_up(self.shares, range(self.plan.slots - 1, self.plan.slots), (0, 1))

    def find_slots(self, first: int | None, end: int | None) -> range:
        """The slots between two of the cuts; None, or an `end` behind all of them, is no bound."""
        cuts = self.plan.cuts.tolist()
        start = 0 if first is None else cuts.index(first) + 1
        return range(start, len(cuts) + 1 if end is None or end > cuts[-1] else cuts.index(end) + 1)

    def sum_up(self, values: np.ndarray, slots: Iterable[int], marked: Iterable[int]) -> np.ndarray:
        total = np.zeros(CELLS, np.int64)
        for start in (CELLS * (2 * slot + mark) for slot in slots for mark in marked):
            chosen = slice(*np.searchsorted(self.places, [start, start + CELLS]))
            total[self.places[chosen] - start] += values[chosen]
        return total.reshape(*SHAPE, BINS)


@dataclass(frozen=True)
class Learned:
    """What a model of the same day learns from: shares, int64[*SHAPE, BINS], and the moments of the rows."""

    shares: np.ndarray
    moments: Moments


def count_market(spark: SparkSession, files: list[Place], plan: Plan) -> Counts:
    """The counts of all parts: a task counts some, the driver adds."""
    found = gather(spark, files, lambda chunk: count_parts(chunk, plan))
    rows = add_slots(plan, [(part.places, part.rows) for part in found])
    places = np.flatnonzero(rows)
    rows = rows[places]
    shares = add_slots(plan, [(part.places, part.shares) for part in found])[places]
    return Counts(
        plan,
        places,
        rows,
        shares,
        add_periods(part.moments for part in found),
        np.sum([part.sizes for part in found], axis=0),
        concatenate([part.sample for part in found]),
    )


def add_slots(plan: Plan, found: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """The sums of counts by place, over all places of all slots. found: places and counts of each task. int64."""
    total = np.zeros(plan.slots * 2 * CELLS, np.int64)
    for places, counts in found:
        total[places] += counts
    return total


def count_parts(files: list[Place], plan: Plan) -> Counts:
    """The counts of some parts."""
    rows, shares = (np.zeros(plan.slots * 2 * CELLS, kind) for kind in (np.int32, np.int64))
    moments, sizes, samples = [], np.zeros(len(SIZE_EDGES) + 1, np.int64), []
    for file in files:
        part = read_rows(file)
        for place in (place_rows, place_yesterday):
            places, weights = place(part, plan)
            np.add.at(rows, places, 1)
            np.add.at(shares, places, weights)
        period = np.searchsorted([plan.calibration_day, plan.test_day], part.day, side="right")
        moments.append(tuple(measure_moments(part.select(period == number)) for number in range(3)))
        sizes += np.bincount(find_sizes(part.vol_moving_avg[period == 2]), minlength=len(sizes))
        later = part.select(period > 0)
        samples.append(later.select(draw_luck(later.symbol, later.day) < plan.share))
    places = np.flatnonzero(rows).astype(np.int32)
    total = add_periods(moments)
    return Counts(plan, places, rows[places], shares[places], total, sizes, concatenate(samples))


def add_periods(parts: Iterable[tuple[Moments, ...]]) -> tuple[Moments, ...]:
    """The moments of each period, added up over the parts in order."""
    return tuple(reduce(add, column) for column in zip(*parts, strict=True))


def place_rows(rows: MarketRows, plan: Plan) -> tuple[np.ndarray, np.ndarray]:
    """Where rows with a ratio lie in the histograms, and what they weigh there. int64[k] each."""
    rows = rows.select(rows.vol_moving_avg > 0)
    slot = np.searchsorted(plan.cuts, rows.day, side="right")
    return find_places(rows, slot, mark_rows(rows, plan)), weigh_rows(rows, plan)


def place_yesterday(rows: MarketRows, plan: Plan) -> tuple[np.ndarray, np.ndarray]:
    """The same for the calibration's rows with yesterday's window."""
    rows = rows.without_today()
    rows = rows.select((rows.vol_moving_avg > 0) & (rows.day >= plan.calibration_day) & (rows.day < plan.test_day))
    slot = np.full(len(rows), plan.slots - 1)
    return find_places(rows, slot, np.zeros_like(slot)), weigh_rows(rows, plan)


def find_places(rows: MarketRows, slot: np.ndarray, mark: np.ndarray) -> np.ndarray:
    cells = find_cells(rows.vol_moving_avg, rows.adj_close_rolling_med)
    inside = np.ravel_multi_index((*cells, find_bins(rows.volume / rows.vol_moving_avg)), (*SHAPE, BINS))
    places: np.ndarray = CELLS * (2 * slot + mark) + inside
    return places


def mark_rows(rows: MarketRows, plan: Plan) -> np.ndarray:
    """0 or 1: before the test, whether the symbol is held out; in it, whether a random split lets the row learn."""
    marks = is_held_out(rows.symbol).astype(np.int64)
    test = rows.day >= plan.test_day
    marks[test] = draw_luck(rows.symbol[test], rows.day[test]) < LUCKY
    return marks


def weigh_rows(rows: MarketRows, plan: Plan) -> np.ndarray:
    """The vol_moving_avg of each row, less if it is old, in units of 1 / SHARES_UNIT."""
    years = np.clip((plan.test_day - rows.day) // YEAR, -YEARS_AHEAD, YEARS_BACK)
    weights = np.cumprod([FADING**-YEARS_AHEAD, *[FADING] * (YEARS_AHEAD + YEARS_BACK)])
    units: np.ndarray = np.rint(rows.vol_moving_avg * weights[years + YEARS_AHEAD] * SHARES_UNIT).astype(np.int64)
    return units


def find_sizes(level: np.ndarray) -> np.ndarray:
    """The place of each vol_moving_avg among the SIZE_EDGES. float64[n] to int64[n]."""
    place: np.ndarray = np.searchsorted(SIZE_EDGES, level, side="right")
    return place
