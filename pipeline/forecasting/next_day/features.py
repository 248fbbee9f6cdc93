"""Tomorrow's volume of a symbol: features that use nothing after today's close, in flat arrays of whole symbols.

Row t holds what is known at the close of day t; its target is the volume of the next session. All volumes are logs,
log(1 + V), and relative to their own mean over a month, so that one model serves a symbol of a thousand shares a day
and one of a billion.
"""

import bottleneck
import numpy as np

from pipeline.forecasting.next_day.habits import HABITS, Abnormal, describe_habits
from pipeline.forecasting.next_day.market import Market
from pipeline.forecasting.next_day.symbol_rows import (
    MONTH,
    QUARTER,
    YEAR,
    SymbolRows,
    abnormal_volume,
    fading_mean,
    log_volume,
    mean_of,
    range_of,
    shift,
    spread_of,
)
from pipeline.forecasting.next_day.trading_calendar import EFFECTS, TradingCalendar

AT_ONCE = 100_000  # rows
EARNINGS = 63  # trading rows between two quarterly reports
LEAST_SWING, MOST_SWINGS, LEAST_RANGE = 1e-6, 100.0, 1e-4  # logs; what keeps ratios of still prices in bounds
HALF_LIVES = {"fading_1": 1.0, "fading_2": 2.5, "fading_6": 6.0, "fading_15": 15.0}  # trading rows

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
    "move": "log(1 + size of the return by the root mean square of the 22 before)",
    "range_ratio": "log of the range by its mean over the 22 rows before",
    "return_5": "log return over 5 rows",
    "return_22": "log return over 22 rows",
    "close_in_range": "where today's Close lies between Low, 0, and High, 1",
    "overnight": "size of the log return from the Close before to today's Open",
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

NAMES = [*FEATURES, *HABITS, *EFFECTS]  # of the columns that models take, in order


def build_features(
    rows: SymbolRows, market: Market, calendar: TradingCalendar, chosen: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """All features of the chosen rows: FEATURES, HABITS and the calendar's effects of the next session.

    chosen: int64[m], rows in order; None for all. Returns float32[m] each, NaN where unknown. Some symbols at a time:
    on the way all rows have all columns.
    """
    chosen = np.arange(len(rows.day)) if chosen is None else chosen
    found, start = [], 0
    for run in rows.cut(AT_ONCE):
        end = start + len(run.day)
        inside = chosen[slice(*np.searchsorted(chosen, [start, end]))] - start
        found.append(describe_rows(run, market, calendar, inside))
        start = end
    return {name: np.concatenate([columns[name] for columns in found]) for name in NAMES}


def describe_rows(
    rows: SymbolRows, market: Market, calendar: TradingCalendar, chosen: np.ndarray
) -> dict[str, np.ndarray]:
    """See build_features, which does it for some symbols after others."""
    session = calendar.find_session(rows.day)
    following = np.minimum(session[chosen] + 1, len(calendar.days) - 1)
    abnormal = abnormal_volume(rows)
    over_market = abnormal - market.abnormal[session]
    columns = {**describe_volume(rows, abnormal), **describe_prices(rows)}
    columns |= {"own_less_market": over_market, "etf": np.repeat(rows.etf, np.diff(rows.starts))}
    columns = {name: column[chosen] for name, column in columns.items()}
    columns |= describe_market(session[chosen], market)
    columns |= describe_habits(rows, Abnormal(abnormal, over_market, market.abnormal), calendar, chosen)
    columns |= {name: effect[following] for name, effect in calendar.effects.items()}
    return {name: columns[name].astype(np.float32) for name in NAMES}


def describe_volume(rows: SymbolRows, abnormal: np.ndarray) -> dict[str, np.ndarray]:
    """The features made of a symbol's own volume. abnormal: see abnormal_volume."""
    age, starts = rows.age, rows.starts
    log = log_volume(rows.volume)
    means = {window: mean_of(log, window, starts) for window in (3, 5, 10, MONTH, QUARTER, YEAR)}
    base = means[MONTH]
    columns = {"base": base, "abnormal": abnormal, "zeros": mean_of((rows.volume == 0).astype(float), MONTH, starts)}
    columns |= {f"lag_{rank}": shift(log, rank - 1, age) - base for rank in range(1, 6)}
    columns |= {f"mean_{window}": mean - base for window, mean in means.items() if window != MONTH}
    columns |= {name: fading_mean(log, half, starts) - base for name, half in HALF_LIVES.items()}
    columns |= {"spread": spread_of(log, MONTH, starts), "spread_5": spread_of(log, 5, starts)}
    peak = np.fmax.reduce([abnormal, *(shift(abnormal, back, age) for back in range(1, 5))])
    columns["quarter_ago"] = shift(peak, EARNINGS - 3, age)
    columns["year_ago"] = shift(peak, YEAR - 3, age)
    return columns


def describe_prices(rows: SymbolRows) -> dict[str, np.ndarray]:
    """The features made of a symbol's prices and of its dates."""
    age, starts = rows.age, rows.starts
    price = np.log(np.where(rows.usable & (rows.close > 0), rows.close, np.nan))
    change = price - shift(price, 1, age)
    size = np.abs(change)
    spread = range_of(rows)
    usual = mean_of(spread, MONTH, starts)
    swing = np.sqrt(np.maximum(shift(mean_of(change * change, MONTH, starts), 1, age), LEAST_SWING**2))
    traded = rows.usable & (rows.open > 0) & (rows.raw_close > 0)
    within_day = np.log(np.where(traded, rows.raw_close, np.nan) / np.where(traded, rows.open, np.nan))
    height = np.where(rows.usable & (rows.high > rows.low), rows.high - rows.low, np.nan)
    return {
        "price": price,
        "return": change,
        "size_of_return": size - mean_of(size, MONTH, starts),
        "range": spread,
        "range_change": spread - usual,
        "move": np.log1p(np.minimum(size / swing, MOST_SWINGS)),
        "range_ratio": np.log((spread + LEAST_RANGE) / (shift(usual, 1, age) + LEAST_RANGE)),
        "return_5": price - shift(price, 5, age),
        "return_22": price - shift(price, MONTH, age),
        "close_in_range": (rows.raw_close - rows.low) / height,
        "overnight": np.abs(change - within_day),
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
