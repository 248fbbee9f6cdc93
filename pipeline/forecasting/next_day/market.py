"""The market of each day: what all symbols do together, as sums that parts add up to."""

from dataclasses import dataclass

import numpy as np

from pipeline.forecasting.next_day.symbol_rows import MONTH, SymbolRows, abnormal_volume, mean_of, range_of
from pipeline.forecasting.next_day.trading_calendar import TradingCalendar

MARKET_UNIT = 2**20  # market sums are integers of this fraction: the same for any order of adding


@dataclass(frozen=True)
class Market:
    """The market day by day, by session of the calendar: float64[sessions], 0 where nothing is known."""

    abnormal: np.ndarray
    range_change: np.ndarray


def sum_market(rows: SymbolRows, calendar: TradingCalendar) -> np.ndarray:
    """What these symbols add to the market: int64[3, sessions], the number of symbols, their abnormal volume, their
    range_change.

    The last two in units of 1 / MARKET_UNIT. Days that are not sessions, and symbols without a month of history, do
    not count.
    """
    session = calendar.find_session(rows.day)
    spread = range_of(rows)
    values = [abnormal_volume(rows), spread - mean_of(spread, MONTH, rows.starts)]
    known = (session >= 0) & rows.usable & np.isfinite(values[0]) & np.isfinite(values[1])
    size = len(calendar.days)
    sums = np.zeros((3, size), np.int64)
    sums[0] = np.bincount(session[known], minlength=size)
    for line, value in enumerate(values, start=1):
        units = np.rint(value[known] * MARKET_UNIT)
        sums[line] = np.bincount(session[known], units, minlength=size).astype(np.int64)  # exact: whole doubles
    return sums


def average_market(sums: np.ndarray) -> Market:
    """The market's day from the added sums of all parts (see sum_market)."""
    count = np.maximum(sums[0], 1) * MARKET_UNIT
    return Market(sums[1] / count, sums[2] / count)
