"""What is to be forecast from each row, and the answers that need no model."""

import numpy as np

from pipeline.forecasting.next_day.symbol_rows import MONTH, SymbolRows, log_volume, mean_of
from pipeline.forecasting.next_day.trading_calendar import TradingCalendar

NAIVE = ("naive", "mean_of_5", "mean_of_30", "yesterday")  # see naive_answers


def find_targets(rows: SymbolRows, calendar: TradingCalendar) -> np.ndarray:
    """The row of each row's next session. Returns int64[n], -1 where there is none to learn from.

    There is none where the symbol's next row is missing, flagged or on a later session than the next, or where the
    row itself is flagged, is not on a session, or has no month of history.
    """
    session = calendar.find_session(rows.day)
    following = np.arange(1, len(session) + 1)
    last = np.zeros(len(session), bool)
    last[rows.starts[1:][np.diff(rows.starts) > 0] - 1] = True
    following[last] = 0
    known = ~last & (session >= 0) & (session[following] == session + 1) & rows.usable & rows.usable[following]
    return np.where(known & (rows.age >= MONTH), following, -1)


def naive_answers(rows: SymbolRows) -> dict[str, np.ndarray]:
    """What needs no model, in shares: NAIVE, float64[n] each, NaN without the history.

    naive: exp of the mean log(1 + V) of the last five rows, less 1: their geometric mean, also where a day has no
    trade. mean_of_5, mean_of_30: of Volume over as many rows. yesterday: the last known day's Volume.
    """
    log, volume = log_volume(rows.volume), rows.volume.astype(np.float64)
    answers = (
        np.expm1(mean_of(log, 5, rows.starts)),
        mean_of(volume, 5, rows.starts),
        mean_of(volume, 30, rows.starts),
        volume,
    )
    return dict(zip(NAIVE, answers, strict=True))
