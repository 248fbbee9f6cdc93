"""The two features against pandas, symbol by symbol: medians bit for bit, means from an exact integer sum."""

import random
from datetime import date

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from pipeline.datasets.contract import PRICE_COLUMNS, PRICES
from pipeline.features.write import add_features

WINDOWS = [1, 2, 20, 29, 30, 252]


def make_prices(seed: int, lengths: list[int]) -> pa.Table:
    """Symbols of the given lengths: gaps between days, repeated and huge values, days without trade."""
    rng = np.random.default_rng(seed)
    rows = sum(lengths)
    days = np.concatenate([np.sort(rng.choice(20_000, length, replace=False)) for length in lengths])
    close = np.round(rng.lognormal(3, 1, rows), rng.integers(1, 9)) * rng.choice([1.0, 1.0, 1.0, -1e18], rows)
    volume = np.where(rng.random(rows) < 0.1, 0, rng.integers(0, 2 * 10**10, rows))
    symbols = np.repeat([f"S{number}" for number in range(len(lengths))], lengths)
    columns = {"Symbol": symbols, "Security Name": pa.nulls(rows), "Date": days.astype("datetime64[D]")}
    columns |= dict.fromkeys(PRICE_COLUMNS, close) | {"Volume": volume}
    return pa.table({name: pa.array(values) for name, values in columns.items()}).cast(PRICES)


def expect(prices: pa.Table, window: int, rule: str) -> pd.DataFrame:
    """The definition, by pandas on one symbol after the other; the mean from Python's integers."""
    frame = prices.to_pandas(strings_to_categorical=False).astype({"Symbol": str})
    results = []
    for _, rows in frame.groupby("Symbol", sort=False):
        if rule == "rows":
            rolling = pd.Series(rows["Adj Close"].to_numpy()).rolling(window)
            firsts = [max(0, last - window + 1) for last in range(len(rows))]
            full = [last >= window - 1 for last in range(len(rows))]
        else:
            days = pd.to_datetime(rows["Date"])
            rolling = pd.Series(rows["Adj Close"].to_numpy(), index=days).rolling(f"{window}D")
            firsts = [int((days <= day - pd.Timedelta(days=window)).sum()) for day in days]
            full = [True] * len(rows)
        volume = [int(value) for value in rows["Volume"]]
        means = [
            sum(volume[first : last + 1]) / (last + 1 - first) if whole else None
            for last, (first, whole) in enumerate(zip(firsts, full, strict=True))
        ]
        results.append(pd.DataFrame({"mean": means, "median": rolling.median().to_numpy()}, dtype=float))
    return pd.concat(results)


@pytest.mark.parametrize("rule", ["rows", "calendar"])
@pytest.mark.parametrize("window", WINDOWS)
def test_features_agree_with_pandas_bit_for_bit(window, rule):
    prices = make_prices(window, [1, 300, 29, 30, 31, 2, 500])
    features = add_features(prices, window, rule)
    expected = expect(prices, window, rule)
    mean = features["vol_moving_avg"].to_numpy()
    median = features["adj_close_rolling_med"].to_numpy()
    np.testing.assert_array_equal(mean, expected["mean"].to_numpy())
    np.testing.assert_array_equal(median, expected["median"].to_numpy())
    assert features.select(PRICES.names).equals(prices)


def test_warm_up_is_null_and_no_window_reaches_into_the_symbol_before():
    prices = make_prices(1, [40, 29, 30])
    nulls = add_features(prices, 30, "rows")["vol_moving_avg"].is_null().to_pylist()
    assert nulls == [True] * 29 + [False] * 11 + [True] * 29 + [True] * 29 + [False]


def test_calendar_rule_looks_back_over_days_from_the_first_row_on():
    days = [date(2020, 1, 1), date(2020, 1, 30), date(2020, 1, 31), date(2020, 3, 15)]
    columns = {"Symbol": ["A"] * 4, "Security Name": [None] * 4, "Date": days}
    columns |= {name: [1.0, 2.0, 4.0, 8.0] for name in PRICE_COLUMNS} | {"Volume": [10, 20, 60, 80]}
    features = add_features(pa.table(columns).cast(PRICES), 30, "calendar")
    # On 30 January the first of the month is the thirtieth day back; on the 31st it is out.
    assert features["vol_moving_avg"].to_pylist() == [10, 15, 40, 80]
    assert features["adj_close_rolling_med"].to_pylist() == [1, 1.5, 3, 8]


def test_mean_is_exact_where_a_running_sum_of_doubles_is_not():
    rng = random.Random(3)
    prices = make_prices(3, [2000])
    volume = [rng.choice([2**52 + 1, 1, 3]) for _ in range(2000)]
    prices = prices.set_column(prices.schema.get_field_index("Volume"), PRICES.field("Volume"), [volume])
    mean = add_features(prices, 3, "rows")["vol_moving_avg"].to_pylist()
    small = [last for last in range(2, 2000) if sum(volume[last - 2 : last + 1]) < 2**53]
    assert small
    for last in small:
        assert mean[last] == sum(volume[last - 2 : last + 1]) / 3


def test_no_rows_at_all():
    for rule in ("rows", "calendar"):
        assert add_features(PRICES.empty_table(), 30, rule).num_rows == 0


@pytest.mark.parametrize("rule", ["rows", "calendar"])
def test_median_of_the_largest_numbers_is_a_number(rule):
    prices = make_prices(4, [70])
    close = [1.7e308, 1.6e308] * 35
    prices = prices.set_column(prices.schema.get_field_index("Adj Close"), PRICES.field("Adj Close"), [close])
    medians = add_features(prices, 2, rule)["adj_close_rolling_med"].to_pylist()
    assert all(1.5e308 < median < 1.75e308 for median in medians[1:])
