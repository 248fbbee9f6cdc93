"""What is known about a trading day before it comes: holidays around it, half days, expiries, index rebalances, month
ends.

Sessions are those of the New York Stock Exchange (package exchange_calendars, its calendar XNYS).
"""

from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property

import exchange_calendars
import numpy as np
import pandas as pd

from pipeline.forecasting.periods import EPOCH

FIRST_DAY, LAST_DAY = date(1962, 1, 1), date(2200, 12, 31)  # beyond is no session: old prices, misprinted dates
LONGEST_MONTH = 23  # sessions

EFFECTS = {
    "weekday": "0 is Monday",
    "month": "1 to 12",
    "day_of_month": "1 to 31",
    "to_month_end": "sessions left in the month",
    "from_month_start": "sessions of the month before it",
    "to_expiry": "sessions until the next expiry, at most 23",
    "expiry": "1 where standard options expire: on the third Friday, or before it where that is a holiday",
    "quarterly_expiry": "1 where index futures expire as well and S&P rebalances: March, June, September, December",
    "russell": "1 on the reconstitution of the Russell indices, June's last Friday",
    "msci": "1 on the last session of February, May, August and November, when MSCI's reviews take effect",
    "half_day": "1 where the exchange closes early",
    "gap_before": "calendar days since the session before",
    "gap_after": "calendar days until the session after",
}

# Kinds of sessions on which funds and indices trade more, or all trade less; a session is of the last one that fits.
EVENTS = ("none", "expiry", "quarterly_expiry", "month_end", "russell", "msci", "half_day")


@dataclass(frozen=True)
class TradingCalendar:
    """Sessions in order and what is known about each beforehand.

    days: int64[n], days since 1970-01-01. effects: name -> float32[n], a value for each session; see EFFECTS.
    """

    days: np.ndarray
    effects: dict[str, np.ndarray]

    @cached_property
    def events(self) -> np.ndarray:
        """The place of each session's kind in EVENTS. int64[n]."""
        marks = self.effects | {"month_end": self.effects["to_month_end"] == 0}
        events = np.zeros(len(self.days), np.int64)
        for place, name in enumerate(EVENTS[1:], start=1):
            events[marks[name] > 0] = place
        return events

    def find_events_before(self) -> np.ndarray:
        """The session of the last event of the same kind before each. int64[n], -1 for none and where there is none."""
        before = np.full(len(self.days), -1)
        for kind in range(1, len(EVENTS)):
            (places,) = np.nonzero(self.events == kind)
            before[places[1:]] = places[:-1]
        return before

    def find_session(self, days: np.ndarray) -> np.ndarray:
        """Position of the session on each of `days` (int64[k]), -1 where the exchange was closed. Returns int64[k]."""
        position = np.minimum(np.searchsorted(self.days, days), len(self.days) - 1)
        return np.where(self.days[position] == days, position, -1)


def open_calendar(last_day: int) -> TradingCalendar:
    """Sessions from FIRST_DAY until a year after `last_day` (days since 1970-01-01), or after LAST_DAY if that is
    earlier, so that forecasts have a day to stand on.
    """
    last = min(max(EPOCH + timedelta(last_day), FIRST_DAY), LAST_DAY)
    end = last + timedelta(days=366)
    exchange = exchange_calendars.get_calendar("XNYS", start=FIRST_DAY.isoformat(), end=end.isoformat())
    sessions = exchange.sessions.tz_localize(None)
    early = sessions.isin(exchange.early_closes.tz_localize(None))
    return TradingCalendar((sessions - pd.Timestamp(0)).days.to_numpy(np.int64), describe_sessions(sessions, early))


def describe_sessions(sessions: pd.DatetimeIndex, early: np.ndarray) -> dict[str, np.ndarray]:
    """The EFFECTS of each session: float32[n] each. early: bool[n], whether the session is a half day."""
    month = pd.Series(sessions.year * 12 + sessions.month)
    place = month.groupby(month).cumcount().to_numpy()
    left = month.groupby(month).cumcount(ascending=False).to_numpy()
    gaps = np.diff((sessions - pd.Timestamp(0)).days.to_numpy())
    fridays = pd.date_range(sessions[0], sessions[-1], freq="W-FRI")
    expiry = mark(sessions, fridays[(fridays.day >= 15) & (fridays.day <= 21)])
    russell = mark(sessions, fridays[(fridays.month == 6) & (fridays.day >= 24)])
    positions = np.append(np.flatnonzero(expiry), len(sessions) + LONGEST_MONTH)
    to_expiry = positions[np.searchsorted(positions, np.arange(len(sessions)))] - np.arange(len(sessions))
    effects = {
        "weekday": sessions.dayofweek,
        "month": sessions.month,
        "day_of_month": sessions.day,
        "to_month_end": left,
        "from_month_start": place,
        "to_expiry": np.minimum(to_expiry, LONGEST_MONTH),
        "expiry": expiry,
        "quarterly_expiry": expiry & (sessions.month % 3 == 0),
        "russell": russell,
        "msci": (left == 0) & (sessions.month % 3 == 2),
        "half_day": early,
        "gap_before": np.concatenate([[1], gaps]),
        "gap_after": np.concatenate([gaps, [1]]),
    }
    return {name: np.asarray(effects[name], np.float32) for name in EFFECTS}


def mark(sessions: pd.DatetimeIndex, dates: pd.DatetimeIndex) -> np.ndarray:
    """True at the last session on or before each of `dates`. Returns bool[len(sessions)]."""
    marked = np.zeros(len(sessions), bool)
    marked[np.searchsorted(sessions, dates, side="right") - 1] = True
    return marked
