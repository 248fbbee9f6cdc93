"""Bands of the next day hold what they promise, for the calm and for the restless, and say the whole distribution."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from pipeline.forecasting.next_day import bands, forecasts
from pipeline.forecasting.next_day.features import NAMES
from pipeline.forecasting.next_day.models import NextDayModel, fit_next_day
from pipeline.forecasting.next_day.parts import pack
from pipeline.forecasting.next_day.rows import NextDayRows

BASE, SPREAD, MEAN_5 = (NAMES.index(name) for name in ("base", "spread", "mean_5"))


def draw_rows(seed: int, count: int = 30_000) -> NextDayRows:
    """Symbols of all sizes, calm and restless ones, whose volume lies around the mean of their month."""
    chance = np.random.default_rng(seed)
    inputs = np.zeros((count, len(NAMES)), np.float32)
    inputs[:, BASE] = chance.uniform(5, 18, count)
    inputs[:, SPREAD] = chance.uniform(0.1, 1.5, count)
    away = chance.normal(0, 1, count) * inputs[:, SPREAD]
    target = np.rint(np.expm1(inputs[:, BASE].astype(np.float64) + away))
    return NextDayRows(inputs, np.arange(count) % 97, np.arange(count) // 60, target)


def month(rows: NextDayRows) -> NextDayModel:
    return NextDayModel("month", lambda inputs: np.zeros(len(inputs)), len(rows))


@pytest.fixture(scope="module")
def learned():
    rows = draw_rows(1)
    return {method: bands.learn_scale(method, rows) for method in bands.METHODS}


def tell(scale, seed: int = 3):
    """The bands calibrated on some days, what they say of later ones, and these."""
    rows, later = draw_rows(2), draw_rows(seed)
    found = bands.calibrate_bands("some", scale, rows, month(rows).forecast(rows.inputs))
    return found, found.apply(later.inputs, month(later).forecast(later.inputs)), later


def cover(outlook, rows) -> np.ndarray:
    return (np.rint(outlook.low) <= rows.target) & (rows.target <= np.rint(outlook.high))


@pytest.mark.parametrize("method", ["size", "size and spread", "quantile trees"])
def test_bands_hold_in_all_and_for_every_size(learned, method):
    _, outlook, rows = tell(learned[method])
    inside = cover(outlook, rows)
    assert inside.mean() == pytest.approx(0.8, abs=0.01)
    tenths = np.argsort(np.argsort(rows.base)) * 10 // len(rows)
    assert all(inside[tenths == tenth].mean() == pytest.approx(0.8, abs=0.03) for tenth in range(10))


def test_bands_that_know_the_spread_hold_for_the_restless_and_are_narrower(learned):
    held, losses = {}, {}
    for method, scale in learned.items():
        _, outlook, rows = tell(scale)
        restless = rows.inputs[:, SPREAD] > 1.35
        held[method] = cover(outlook, rows)[restless].mean()
        losses[method] = bands.measure_pinball(rows.target, outlook)
    assert held["size"] < 0.65
    assert held["size and spread"] == pytest.approx(0.8, abs=0.05) and held["quantile trees"] == pytest.approx(
        0.8, abs=0.05
    )
    assert losses["quantile trees"] < 0.95 * losses["size"] and losses["size and spread"] < 0.95 * losses["size"]


def test_the_method_is_chosen_by_its_loss(learned):
    rows = draw_rows(4)
    method, losses = bands.choose_bands(learned, rows, month(rows))
    assert method == min(losses, key=losses.get) and method != "size"
    only = rows.select(rows.day == rows.day[0])  # a single day has no later half
    assert bands.choose_bands(learned, only, month(rows))[0] in learned


def test_quantiles_rise_and_hold_their_share_and_the_mean_is_the_mean(learned):
    for scale in learned.values():
        _, outlook, rows = tell(scale)
        assert (np.diff(outlook.quantiles, axis=1) >= 0).all()
        below = (rows.target[:, None] <= outlook.quantiles).mean(axis=0)
        assert below == pytest.approx(bands.LEVELS, abs=0.02)
    _, outlook, rows = tell(learned["quantile trees"])
    assert outlook.mean.sum() == pytest.approx(rows.target.sum(), rel=0.1)


def test_days_without_trade_leave_bands_in_order(learned):
    rows = draw_rows(5)
    quiet = replace(rows, target=np.where(np.arange(len(rows)) % 4 == 0, 0.0, rows.target))
    told = month(rows).forecast(rows.inputs)
    outlook = bands.calibrate_bands("some", learned["quantile trees"], quiet, told).apply(rows.inputs, told)
    assert (outlook.low >= 0).all() and (outlook.low <= told).all() and (told <= outlook.high).all()
    assert np.isfinite(outlook.quantiles).all() and np.isfinite(outlook.mean).all()
    assert cover(outlook, quiet).mean() == pytest.approx(0.8, abs=0.01)


@pytest.mark.parametrize("count", [1, 2, 9, 50])
def test_few_days_calibrate_as_well(count, learned):
    rows = draw_rows(6, count)
    told = month(rows).forecast(rows.inputs)
    for scale in learned.values():
        outlook = bands.calibrate_bands("some", scale, rows, told).apply(rows.inputs, told)
        assert np.isfinite(outlook.mean).all() and (outlook.low <= outlook.high).all()


def test_a_line_of_the_server_holds_the_whole_answer(tmp_path, calendar, learned):
    """Volume, band, mean, naive answer and nineteen quantiles, in whole shares, in order."""
    found, _, _ = tell(learned["quantile trees"])
    rows = draw_rows(7, 3)
    days = calendar.days[1_000:1_066]
    last = pa.table(
        {
            "symbol": ["A", "B", "C"],
            "inputs": pack(rows.inputs),
            "days": [days.tolist()] * 3,
            "volumes": [[100] * 66] * 3,
            "means": [[100.0] * 66] * 3,
            "vol_moving_avg": [100.0, 100.0, float("nan")],
            "adj_close_rolling_med": [10.0] * 3,
        }
    )
    symbols = pd.DataFrame({"Symbol": ["A", "B", "C"], "Security Name": ["A Inc.", None, "C"], "kind": "stock"})
    model = fit_next_day("linear", draw_rows(8))
    assert forecasts.write_forecasts(tmp_path, last, model, found, calendar, symbols) == 3
    lines = [json.loads(line) for line in (tmp_path / forecasts.FILE).read_text().splitlines()]
    for line, base, five in zip(lines, rows.inputs[:, BASE], rows.inputs[:, MEAN_5], strict=True):
        quantiles = line["quantiles"]
        assert list(quantiles) == [f"{level / 100:g}" for level in range(5, 100, 5)]
        assert list(quantiles.values()) == sorted(quantiles.values())
        whole = [line[name] for name in ("volume", "low", "high", "mean", "naive")] + list(quantiles.values())
        assert all(type(number) is int and number >= 0 for number in whole)
        assert line["low"] <= line["volume"] <= line["high"]
        assert line["naive"] == pytest.approx(np.expm1(base + five), rel=1e-3, abs=0.5)
        assert line["date"] > line["last_date"]
