"""Tomorrow's volume of a symbol: features that use nothing after today's close, in flat arrays of whole symbols.

Row t holds what is known at the close of day t; its target is the volume of the next session. All volumes are logs,
log(1 + V), and relative to their own mean over a month, so that one model serves a symbol of a thousand shares a day
and one of a billion.
"""

from dataclasses import dataclass
from itertools import pairwise

import bottleneck
import numpy as np
from scipy.signal import lfilter

from pipeline.forecasting.next_day.trading_calendar import EFFECTS, TradingCalendar

MONTH, QUARTER, YEAR = 22, 66, 252  # trading rows
EARNINGS = 63  # trading rows between two quarterly reports
HALF_LIVES = {"fading_1": 1.0, "fading_2": 2.5, "fading_6": 6.0, "fading_15": 15.0}  # trading rows
MARKET_UNIT = 2**20  # market sums are integers of this fraction: the same for any order of adding

FEATURES = {
    "base": "mean of log volume over 22 rows",
    "lag_1": "log volume of today, less base",
    "lag_2": "of the row before, less base",
    "lag_3": "two rows before, less base",
    "lag_4": "three rows before, less base",
    "lag_5": "four rows before, less base: the target's weekday a week ago",
    "mean_3": "mean over 3 rows, less base",
    "mean_5": "mean over 5 rows, less base",
    "mean_10": "mean over 10 rows, less base",
    "mean_66": "mean over 66 rows, less base",
    "mean_252": "mean over 252 rows, less base",
    "fading_1": "exponentially fading mean of log volume, half-life 1 row, less base",
    "fading_2": "half-life 2.5 rows",
    "fading_6": "half-life 6 rows",
    "fading_15": "half-life 15 rows",
    "spread": "standard deviation of log volume over 22 rows",
    "spread_5": "standard deviation of log volume over 5 rows",
    "abnormal": "today's log volume less the base of the day before",
    "zeros": "share of rows without trade among 22",
    "quarter_ago": "greatest abnormal volume 61 to 65 rows before the target: the last quarterly report",
    "year_ago": "greatest abnormal volume 250 to 254 rows before the target: the report of a year ago",
    "return": "log return of Adj Close of today",
    "size_of_return": "its absolute value, less its mean over 22 rows",
    "range": "log(High / Low) of today",
    "range_change": "range, less its mean over 22 rows",
    "price": "log of today's Adj Close",
    "gap": "calendar days since the row before",
    "market_1": "the market's abnormal volume of today",
    "market_2": "of the session before",
    "market_5": "its mean over 5 sessions",
    "market_22": "its mean over 22 sessions",
    "market_year_ago": "of the session 252 sessions before the target",
    "market_range": "mean range_change of all symbols of today",
    "own_less_market": "abnormal, less the market's",
    "etf": "1 for an ETF, 0 for a stock",
}

NAMES = [*FEATURES, *EFFECTS]  # of the columns that models take, in order
NAIVE = ("naive", "mean_of_5", "mean_of_30", "yesterday")  # see naive_answers


@dataclass(frozen=True)
class SymbolRows:
    """Rows of whole symbols in date order, one symbol after the other.

    starts: int64[k + 1] (see rolling.find_starts); etf: bool[k]; key: int64[k], a number of the symbol that is the
    same in every run; day: int64[n], days since 1970-01-01; volume: int64[n]; close (adjusted), high, low:
    float64[n]; usable: bool[n], False where a flag holds.
    """

    starts: np.ndarray
    etf: np.ndarray
    key: np.ndarray
    day: np.ndarray
    volume: np.ndarray
    close: np.ndarray
    high: np.ndarray
    low: np.ndarray
    usable: np.ndarray

    @property
    def age(self) -> np.ndarray:
        """How many rows of its symbol precede each row. int64[n]."""
        age: np.ndarray = np.arange(len(self.day)) - np.repeat(self.starts[:-1], np.diff(self.starts))
        return age

    @property
    def symbol(self) -> np.ndarray:
        """The key of each row's symbol. int64[n]."""
        return np.repeat(self.key, np.diff(self.starts))


@dataclass(frozen=True)
class Market:
    """The market day by day, by session of the calendar: float64[sessions], 0 where nothing is known."""

    abnormal: np.ndarray
    range_change: np.ndarray


def shift(values: np.ndarray, rows: int, age: np.ndarray) -> np.ndarray:
    """The value `rows` rows earlier in the same symbol. Returns float64[n], NaN where there is none."""
    result = np.full(len(values), np.nan)
    result[rows:] = values[: len(values) - rows]
    result[age < rows] = np.nan
    return result


def mean_of(values: np.ndarray, window: int, starts: np.ndarray) -> np.ndarray:
    """Mean over the last `window` rows of the same symbol. NaN until it has as many, and where one of them is NaN.

    Symbol by symbol: in one go over all, the rounding of a running sum would travel from one symbol into the next.
    """
    result = np.full(len(values), np.nan)
    for start, end in pairwise(starts):
        if end - start >= window:
            result[start:end] = bottleneck.move_mean(values[start:end], window)
    return result


def fading_mean(values: np.ndarray, half_life: float, starts: np.ndarray) -> np.ndarray:
    """Mean over all rows of the symbol so far, whose weights halve every `half_life` rows. float64[n], as `values`,
    without NaN.
    """
    keep = 0.5 ** (1 / half_life)
    result = np.empty(len(values))
    for start, end in pairwise(starts):
        own = values[start:end]
        if len(own):
            result[start:end] = lfilter([1 - keep], [1, -keep], own, zi=[keep * own[0]])[0]
    return result


def log_volume(volume: np.ndarray) -> np.ndarray:
    """log(1 + V), the scale of all that follows: a day without trade has 0."""
    return np.log1p(volume.astype(np.float64))


def abnormal_volume(rows: SymbolRows) -> np.ndarray:
    """Today's log volume less its mean over the 22 rows before today. Returns float64[n], NaN in a symbol's first 22
    rows.
    """
    log = log_volume(rows.volume)
    abnormal: np.ndarray = log - shift(mean_of(log, MONTH, rows.starts), 1, rows.age)
    return abnormal


def range_of(rows: SymbolRows) -> np.ndarray:
    """log(High / Low), NaN where a flag holds. Returns float64[n]."""
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = np.log(rows.high / rows.low)
    return np.where(rows.usable & np.isfinite(spread), spread, np.nan)


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


def build_features(rows: SymbolRows, market: Market, calendar: TradingCalendar) -> dict[str, np.ndarray]:
    """All features of every row: FEATURES and the calendar's effects of the next session. Each float32[n], NaN where
    unknown.
    """
    session = calendar.find_session(rows.day)
    columns = {
        **describe_volume(rows),
        **describe_prices(rows),
        **describe_market(session, market),
        **{name: effect[np.minimum(session + 1, len(effect) - 1)] for name, effect in calendar.effects.items()},
    }
    columns["own_less_market"] = columns["abnormal"] - columns["market_1"]
    columns["etf"] = np.repeat(rows.etf, np.diff(rows.starts))
    return {name: columns[name].astype(np.float32) for name in NAMES}


def describe_volume(rows: SymbolRows) -> dict[str, np.ndarray]:
    """The features made of a symbol's own volume."""
    age = rows.age
    log = log_volume(rows.volume)
    base = mean_of(log, MONTH, rows.starts)
    abnormal = abnormal_volume(rows)
    peak = np.fmax.reduce([abnormal, *(shift(abnormal, back, age) for back in range(1, 5))])
    columns = {
        "base": base,
        "abnormal": abnormal,
        "zeros": mean_of((rows.volume == 0).astype(float), MONTH, rows.starts),
    }
    columns |= {f"lag_{rank}": shift(log, rank - 1, age) - base for rank in range(1, 6)}
    columns |= {f"mean_{window}": mean_of(log, window, rows.starts) - base for window in (3, 5, 10, QUARTER, YEAR)}
    columns |= {name: fading_mean(log, half, rows.starts) - base for name, half in HALF_LIVES.items()}
    for name, window in {"spread": MONTH, "spread_5": 5}.items():
        square = mean_of(log * log, window, rows.starts) - mean_of(log, window, rows.starts) ** 2
        columns[name] = np.sqrt(np.maximum(square, 0))
    columns["quarter_ago"] = shift(peak, EARNINGS - 3, age)
    columns["year_ago"] = shift(peak, YEAR - 3, age)
    return columns


def describe_prices(rows: SymbolRows) -> dict[str, np.ndarray]:
    """The features made of a symbol's prices and of its dates."""
    age = rows.age
    price = np.log(np.where(rows.usable & (rows.close > 0), rows.close, np.nan))
    change = price - shift(price, 1, age)
    spread = range_of(rows)
    return {
        "price": price,
        "return": change,
        "size_of_return": np.abs(change) - mean_of(np.abs(change), MONTH, rows.starts),
        "range": spread,
        "range_change": spread - mean_of(spread, MONTH, rows.starts),
        "gap": rows.day - shift(rows.day.astype(float), 1, age),
    }


def describe_market(session: np.ndarray, market: Market) -> dict[str, np.ndarray]:
    """The market's features of rows on the given sessions (int64[n], -1 for a day that is none)."""
    means = {window: bottleneck.move_mean(market.abnormal, window, min_count=1) for window in (5, MONTH)}
    return {
        "market_1": market.abnormal[session],
        "market_2": market.abnormal[np.maximum(session - 1, 0)],
        "market_5": means[5][session],
        "market_22": means[MONTH][session],
        "market_year_ago": market.abnormal[np.maximum(session + 1 - YEAR, 0)],
        "market_range": market.range_change[session],
    }


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
