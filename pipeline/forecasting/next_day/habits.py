"""What a symbol uses to do: on this weekday, when options expire, around its quarterly reports.

Nobody tells when a company reports. Its volume does: the reports of a year ago stand out in it, and the next ones come
a quarter of a year, or whole years, later.
"""

from dataclasses import dataclass

import bottleneck
import numpy as np

from pipeline.forecasting.next_day.symbol_rows import QUARTER, YEAR, SymbolRows, roll, shift
from pipeline.forecasting.next_day.trading_calendar import TradingCalendar

UNIT = 2**20  # sums are integers of this fraction: no symbol's rounding reaches the next one
MOST = 3.0  # a day with twenty times its usual volume says no more about a habit than that
WEEKDAY_ROWS, WEEKDAY_DOUBT = 3 * YEAR, 10  # how far back is looked, and how many usual days are added
EVENT_DOUBT = 2
REPORTS = (91, 182, 273, 364)  # calendar days before the target: weeks times 13
SPAN = 2**21  # calendar days between two symbols on one line; dates are those of the years 1 to 9999
FAR = 2**20  # makes the days before 1970 positive on it

HABITS = {
    "own_weekday": "the symbol's mean abnormal volume on the target's weekday, last three years",
    "own_event": "the same on the target's kind of event (expiry, rebalance, half day, month's end), 0 for none",
    "market_event": "the market's abnormal volume on the last such event, unknown for none",
    **{f"report_{days}": f"greatest abnormal volume one row around {days} days before the target" for days in REPORTS},
    "peak_ago": "rows since the greatest abnormal volume, less the market's, among 66",
    "peak_size": "that greatest value",
    "peak_days": "calendar days from it to the target",
}


@dataclass(frozen=True)
class Abnormal:
    """Abnormal volumes, float64[n] each, NaN where unknown: each row's own (see abnormal_volume), the same less the
    market's; and the market's by session, float64[sessions].
    """

    own: np.ndarray
    over_market: np.ndarray
    market: np.ndarray


def describe_habits(
    rows: SymbolRows, abnormal: Abnormal, calendar: TradingCalendar, chosen: np.ndarray
) -> dict[str, np.ndarray]:
    """The HABITS of the chosen rows, int64[m]. float64[m] each, NaN where unknown."""
    session = calendar.find_session(rows.day)
    following = np.minimum(session[chosen] + 1, len(calendar.days) - 1)
    return {
        **describe_kinds(rows, abnormal, calendar, session, chosen),
        **describe_reports(rows, abnormal.own, calendar.days[following], chosen),
        **describe_peak(rows, abnormal.over_market, calendar.days[following], chosen),
    }


def describe_kinds(
    rows: SymbolRows, abnormal: Abnormal, calendar: TradingCalendar, session: np.ndarray, chosen: np.ndarray
) -> dict[str, np.ndarray]:
    """The habits of weekdays and events. session: int64[n], -1 for a day that is none."""
    following = np.minimum(session[chosen] + 1, len(calendar.days) - 1)
    weekday, event = calendar.effects["weekday"].astype(np.int64), calendar.events
    of_weekday, of_event = (np.where(session >= 0, kind[session], -1) for kind in (weekday, event))
    own_event = average_kind(rows, abnormal.own, of_event, chosen, event[following], EVENT_DOUBT)
    before = calendar.find_events_before()[following]
    return {
        "own_weekday": average_kind(
            rows, abnormal.own, of_weekday, chosen, weekday[following], WEEKDAY_DOUBT, WEEKDAY_ROWS
        ),
        "own_event": np.where(event[following] > 0, own_event, 0.0),
        "market_event": np.where(before >= 0, abnormal.market[before], np.nan),
    }


def average_kind(
    rows: SymbolRows,
    values: np.ndarray,
    kind: np.ndarray,
    chosen: np.ndarray,
    wanted: np.ndarray,
    doubt: int,
    window: int | None = None,
) -> np.ndarray:
    """Mean of the values on the symbol's rows of the wanted kind up to each chosen row, among its last `window`.

    values: float64[n], NaN where unknown, cut at MOST; kind: int64[n]; chosen: int64[m], rows; wanted: int64[m], the
    kind that each of them looks for; window: rows, None for all. `doubt` rows of value 0 are added to the mean: a habit
    seen twice is hardly one. Returns float64[m].
    """
    result = np.zeros(len(chosen))
    units = np.rint(np.clip(np.nan_to_num(values), -MOST, MOST) * UNIT).astype(np.int64)
    since = rows.first[chosen] if window is None else np.maximum(rows.first[chosen], chosen + 1 - window)
    for one in np.unique(wanted):
        asked = np.flatnonzero(wanted == one)
        there = np.flatnonzero((kind == one) & np.isfinite(values))
        sums = np.concatenate([[0], np.cumsum(units[there])])
        low, high = np.searchsorted(there, since[asked]), np.searchsorted(there, chosen[asked], side="right")
        result[asked] = (sums[high] - sums[low]) / (UNIT * (high - low + doubt))
    return result


def describe_reports(
    rows: SymbolRows, abnormal: np.ndarray, target_day: np.ndarray, chosen: np.ndarray
) -> dict[str, np.ndarray]:
    """The greatest abnormal volume around REPORTS before the target. target_day: int64[m], of the chosen rows."""
    around = np.fmax.reduce([abnormal, shift(abnormal, 1, rows.age), look_ahead(rows, abnormal)])
    places = {days: find_rows_on(rows, target_day - days, chosen) for days in REPORTS}
    return {f"report_{days}": np.where(place >= 0, around[place], np.nan) for days, place in places.items()}


def describe_peak(
    rows: SymbolRows, over_market: np.ndarray, target_day: np.ndarray, chosen: np.ndarray
) -> dict[str, np.ndarray]:
    """Where the peak of a quarter lies, and how high it is. target_day: int64[m], of the chosen rows."""
    known = np.where(np.isfinite(over_market), over_market, -np.inf)
    ago = roll(bottleneck.move_argmax, known, QUARTER, rows.starts)[chosen]
    peak = chosen - np.nan_to_num(ago).astype(np.int64)
    size = np.where(np.isfinite(ago) & np.isfinite(known[peak]), known[peak], np.nan)
    return {
        "peak_ago": ago,
        "peak_size": size,
        "peak_days": np.where(np.isfinite(ago), target_day - rows.day[peak], np.nan),
    }


def look_ahead(rows: SymbolRows, values: np.ndarray) -> np.ndarray:
    """The value of the same symbol's next row, NaN for its last one: for rows that are not the newest known."""
    result = np.full(len(values), np.nan)
    result[:-1] = values[1:]
    result[rows.starts[1:] - 1] = np.nan
    return result


def find_rows_on(rows: SymbolRows, days: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """The first row of the same symbol on or after each of `days`, if it comes before the chosen row that asks.

    days: int64[m], one for each chosen row, since 1970-01-01. Returns int64[m], -1 where there is none.
    """
    line = np.repeat(np.arange(len(rows.starts) - 1), np.diff(rows.starts)) * SPAN + FAR
    place = np.searchsorted(line + rows.day, line[chosen] + days)
    return np.where((days >= rows.day[rows.first[chosen]]) & (place < chosen), place, -1)
