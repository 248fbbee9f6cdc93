"""When the days of the New York Stock Exchange open and close. A forecast counts if it is made before the open."""

from datetime import date
from functools import cache

import exchange_calendars
import numpy as np
import pandas as pd


def find_opens(days: "pd.Series[date]") -> pd.Series:
    """The instant, in UTC, at which each day opens. days: sessions, as dates. Same index as `days`."""
    return look_up(days, "opens")


def find_closes_before(days: "pd.Series[date]") -> pd.Series:
    """The instant, in UTC, at which the session before each day closes: from then on the day can be forecast."""
    return look_up(days, "closes", back=1)


def look_up(days: "pd.Series[date]", column: str, back: int = 0) -> pd.Series:
    stamps = pd.to_datetime(days)
    times = getattr(open_exchange(stamps.min().year, stamps.max().year), column)
    place = np.searchsorted(times.index, stamps) - back
    return pd.Series(times.array[place], index=days.index)


@cache
def open_exchange(first: int, last: int) -> exchange_calendars.ExchangeCalendar:
    """The sessions of these years and of the weeks around them: it takes a third of a second."""
    return exchange_calendars.get_calendar("XNYS", start=f"{first - 1}-12-01", end=f"{last + 1}-01-15")
