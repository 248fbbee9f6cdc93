"""Which day's prices are final: the last session of the New York Stock Exchange that closed four hours ago."""

from datetime import date, datetime, timedelta

import exchange_calendars

SETTLE = timedelta(hours=4)  # late trades change a day's Volume for some hours after its close
LONGEST_PAUSE = timedelta(days=30)  # surely longer than the exchange has ever been closed since 1914


def find_final_session(now: datetime) -> date:
    """The last session that closed at least SETTLE before `now`, an instant with a time zone."""
    start, end = (now - LONGEST_PAUSE).date(), (now + timedelta(days=2)).date()
    exchange = exchange_calendars.get_calendar("XNYS", start=start.isoformat(), end=end.isoformat())
    closed = exchange.closes[exchange.closes <= now - SETTLE]
    last: date = closed.index[-1].date()
    return last
