"""Which day's prices are final: the last session of the New York Stock Exchange that closed four hours ago."""

from datetime import date, datetime, timedelta
from functools import cache

import exchange_calendars

SETTLE = timedelta(hours=4)  # late trades change a day's Volume for some hours after its close


def find_final_session(now: datetime) -> date:
    """The last session that closed at least SETTLE before `now`, an instant with a time zone."""
    closes = open_exchange(now.year).closes
    last: date = closes.index[closes <= now - SETTLE][-1].date()
    return last


@cache
def open_exchange(year: int) -> exchange_calendars.ExchangeCalendar:
    """The sessions of a year and of the weeks around it: it takes a third of a second."""
    return exchange_calendars.get_calendar("XNYS", start=f"{year - 1}-12-01", end=f"{year + 1}-01-15")
