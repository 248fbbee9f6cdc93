"""Scores are sums: rows cut into any parts and groups give the textbook's numbers."""

import numpy as np
import pytest

from pipeline.forecasting.scores import Sums, add_up, unpack_sums


@pytest.fixture
def rows():
    """Volumes over many orders of magnitude, and forecasts of them with fractions, negative ones and gaps."""
    chance = np.random.default_rng(4)
    volume = np.rint(np.exp(chance.uniform(0, 20, 5_000)))
    forecasts = {name: volume * chance.lognormal(0, sigma, 5_000) for name, sigma in (("naive", 0.5), ("grid", 0.4))}
    forecasts["grid"][:10] *= -1
    forecasts["gaps"] = np.where(chance.random(5_000) < 0.3, np.nan, forecasts["naive"] + 0.4)
    groups = chance.integers(-1, 7, 5_000)
    return volume, forecasts, groups, {"grid": (0.6 * volume - 3, chance.lognormal(0, 0.2, 5_000) * volume + 2)}


def take(rows, chosen) -> Sums:
    volume, forecasts, groups, bounds = rows
    return add_up(
        volume[chosen],
        {name: values[chosen] for name, values in forecasts.items()},
        groups[chosen],
        7,
        {name: (low[chosen], high[chosen]) for name, (low, high) in bounds.items()},
    )


def test_the_scores_are_those_of_the_textbook(rows):
    volume, forecasts, groups, bounds = rows
    inside = groups == 3
    scores = take(rows, slice(None)).score(3)
    actual, naive = volume[inside], np.rint(forecasts["naive"][inside])
    served = np.maximum(np.rint(forecasts["grid"][inside]), 0)
    error, logs = served - actual, np.log(actual + 1)
    low, high = (np.log(np.maximum(np.rint(bound[inside]), 0) + 1) for bound in bounds["grid"])
    expected = {
        "rows": inside.sum(),
        "mae": np.abs(error).mean(),
        "rmse": np.sqrt((error**2).mean()),
        "r2": 1 - (error**2).sum() / ((actual - actual.mean()) ** 2).sum(),
        "wape": np.abs(error).sum() / actual.sum(),
        "rmsle": np.sqrt(((np.log(served + 1) - logs) ** 2).mean()),
        "skill": 1 - np.abs(error).mean() / np.abs(naive - actual).mean(),
        "log_skill": 1 - ((np.log(served + 1) - logs) ** 2).sum() / ((np.log(naive + 1) - logs) ** 2).sum(),
        "coverage": ((low <= logs) & (logs <= high)).mean(),
        "width": (high - low).mean(),
        "pinball": np.mean(
            np.where(logs >= low, 0.1 * (logs - low), 0.9 * (low - logs))
            + np.where(logs >= high, 0.9 * (logs - high), 0.1 * (high - logs))
        ),
    }
    assert scores["grid"] == pytest.approx(expected, rel=1e-6)
    assert scores["naive"]["skill"] == 0.0 and "coverage" not in scores["naive"]


def test_rows_where_a_forecast_is_unknown_count_neither_for_it_nor_for_naive_beside_it(rows):
    volume, forecasts, _, _ = rows
    known = ~np.isnan(forecasts["gaps"])
    scores = add_up(volume, forecasts).score()
    errors = {name: np.abs(np.rint(forecasts[name][known]) - volume[known]).sum() for name in ("gaps", "naive")}
    assert scores["gaps"]["rows"] == known.sum()
    assert scores["gaps"]["skill"] == pytest.approx(1 - errors["gaps"] / errors["naive"], abs=1e-7)


def test_parts_add_up_to_the_whole_and_come_from_tasks_as_they_were(rows):
    whole = take(rows, slice(None))
    parts = [take(rows, slice(start, start + 700)) for start in range(0, 5_000, 700)]
    total = sum(parts[1:], parts[0])
    back = unpack_sums(total.pack(), list(total.of))
    assert all(np.array_equal(back.of[name], total.of[name]) for name in total.of)
    assert [total.score(group) for group in range(7)] == [whole.score(group) for group in range(7)]


def test_groups_are_pooled_into_larger_ones(rows):
    volume, forecasts, groups, bounds = rows
    pooled = take(rows, slice(None)).pool(np.array([0, 1, 0, 1, 0, 1, -1]))
    odd = np.where((groups < 0) | (groups == 6), -1, groups % 2)
    assert [pooled.score(group) for group in (0, 1)] == [
        add_up(volume, forecasts, odd, 2, bounds).score(group) for group in (0, 1)
    ]
    assert take(rows, slice(None)).pool().score()["grid"]["rows"] == (groups >= 0).sum()


def test_where_nothing_can_be_judged_no_number_is_made_up():
    five, unknown = np.full(5, 123_456_789.0), np.full(5, np.nan)
    scores = add_up(five, {"naive": five, "unknown": unknown}).score()
    assert list(scores) == ["naive"]
    assert scores["naive"] == {"rows": 5} | dict.fromkeys(
        ("mae", "rmse", "r2", "wape", "rmsle", "skill", "log_skill"), 0.0
    )
    none = np.empty(0)
    assert add_up(none, {"naive": none}).score() == {}
