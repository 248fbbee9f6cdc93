"""Trees take rows piece by piece, and learn from what is unknown as well."""

import numpy as np
import pytest

from pipeline.forecasting.next_day.trees import grow_trees

SETTINGS = {"objective": "reg:squarederror", "max_depth": 3}


@pytest.fixture
def rows():
    draw = np.random.default_rng(3)
    inputs = draw.normal(size=(3_000, 4)).astype(np.float32)
    unknown = draw.random(3_000) < 0.2
    inputs[unknown, 1] = np.nan
    return inputs, np.where(unknown, 5.0, 0.0)


def test_trees_learn_from_what_is_unknown(rows):
    inputs, target = rows
    predict = grow_trees(inputs, target, SETTINGS, 20, 0.3)
    assert np.abs(predict(inputs) - target).mean() < 0.3  # the least known values share a bin with the unknown ones
    assert predict(inputs[:0]).shape == (0,)


def test_pieces_change_no_answer(rows, monkeypatch):
    inputs, target = rows
    predict = grow_trees(inputs, target, SETTINGS, 20, 0.3)
    at_once = predict(inputs)
    monkeypatch.setattr("pipeline.forecasting.next_day.trees.PIECE", 700)
    assert np.array_equal(predict(inputs), at_once)
    assert np.abs(grow_trees(inputs, target, SETTINGS, 20, 0.3)(inputs) - target).mean() < 0.3
