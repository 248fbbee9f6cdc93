"""The comparison of plots: it overlooks how they are drawn, and sees what they show."""

import io

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure

from pipeline.charts import use_style
from tests.pictures import find_difference

X = np.linspace(0, 10, 200)


def draw(curve=np.sin, bars=(3, 5, 4), title="Volume", dpi=150, **style) -> bytes:
    with matplotlib.rc_context(style):
        figure = Figure(figsize=(8, 4))
        left, right = figure.subplots(1, 2)
        left.plot(X, curve(X))
        left.set(title=title, ylim=(-2, 2))
        right.bar(range(len(bars)), bars)
        right.set(ylim=(0, 10))
        file = io.BytesIO()
        figure.savefig(file, format="png", dpi=dpi)
    return file.getvalue()


@pytest.fixture(autouse=True)
def style():
    with matplotlib.rc_context():
        use_style()
        yield


@pytest.mark.parametrize("how", [{}, {"dpi": 96}, {"lines.antialiased": False}, {"font.weight": 500}])
def test_the_same_plot_drawn_otherwise_is_the_same(how):
    assert find_difference(draw(**how), draw()) is None


@pytest.mark.parametrize(
    "what",
    [
        {"curve": lambda x: np.sin(x) + 0.25},
        {"curve": lambda x: np.sin(1.05 * x)},
        {"bars": (3, 5, 4.8)},
        {"bars": (3, 5, 4, 1)},
    ],
)
def test_another_curve_or_bar_is_another_plot(what):
    told = find_difference(draw(**what), draw())
    assert told
    assert "of the plot differ" in told


def test_a_plot_of_other_sides_is_another_one():
    figure = Figure(figsize=(4, 4))
    figure.subplots()
    file = io.BytesIO()
    figure.savefig(file, format="png")
    assert "by" in find_difference(file.getvalue(), draw())
