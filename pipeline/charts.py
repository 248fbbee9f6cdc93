"""One look for all charts of the notebooks: quiet axes, few colours, numbers that a person can read."""

import math

import matplotlib.pyplot as plt
import pandas as pd
from cycler import cycler
from IPython.core.getipython import get_ipython
from IPython.core.pylabtools import retina_figure
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator, NullFormatter

BLUE, ORANGE, GREEN, RED, GREY = "#2f6690", "#e07a1f", "#3a7d44", "#b23a48", "#8a8f98"
LARGEST_SHOWN = 1e12


def use_style() -> None:
    """Set matplotlib's defaults for the notebook at hand, and how it stores figures."""
    plt.rcParams.update(
        {
            "figure.figsize": (9, 3.6),
            "figure.dpi": 96,
            "figure.constrained_layout.use": True,
            "axes.prop_cycle": cycler(color=[BLUE, ORANGE, GREEN, RED, GREY]),
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.edgecolor": GREY,
            "axes.titlelocation": "left",
            "axes.titlesize": 11,
            "axes.titleweight": "bold",
            "axes.grid": True,
            "axes.axisbelow": True,
            "grid.color": "#e4e6ea",
            "legend.frameon": False,
            "font.size": 10,
        }
    )
    shell = get_ipython()
    if shell and shell.display_formatter:
        import matplotlib_inline.backend_inline  # noqa: F401  sets its own way to store figures when it is imported

        shell.display_formatter.formatters["image/png"].for_type(Figure, draw_png)


def draw_png(figure: Figure) -> tuple[str, dict[str, str | int]] | None:
    """A figure as a notebook stores it: PNG in base64 at twice the resolution, and as metadata the size at which to
    show it, and its titles for whoever cannot see it.
    """
    drawn = retina_figure(figure, base64=True)  # type: ignore[no-untyped-call]
    if drawn is None:  # nothing is drawn in it
        return None
    png, size = drawn
    titles = [figure.get_suptitle(), *(axes.get_title("left") for axes in figure.axes)]
    told = "; ".join(filter(None, titles))
    return png, {**size, "alt": told} if told else size


def count_in_units(axis: Axes, which: str = "y") -> None:
    """Write the numbers of an axis as 20 k, 35 M, 1 bn. which: "x" or "y"."""
    formatter = EngFormatter(sep=" ")
    formatter.ENG_PREFIXES = EngFormatter.ENG_PREFIXES | {9: "bn"}  # as markets count, not as physics does
    getattr(axis, f"{which}axis").set_major_formatter(formatter)


def use_log(axes: Axes, which: str = "y") -> None:
    """Make an axis logarithmic if anything that is drawn lies above zero; a log axis cannot show the rest. which: "x"
    or "y".

    Its numbers are plain, and few: each power of ten, or round steps where there are less than two.
    """
    axis, drawn = getattr(axes, f"{which}axis"), axes.dataLim
    smallest, largest = (drawn.minposx, drawn.xmax) if which == "x" else (drawn.minposy, drawn.ymax)
    if not math.isfinite(smallest):
        return
    axes.set(**{f"{which}scale": "log"})
    if largest < 100 * smallest:
        axis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axis.set_major_formatter("{x:,g}")
    axis.set_minor_formatter(NullFormatter())


def hide_huge(values: pd.Series) -> pd.Series:
    """Prices as a chart can show them: a gap where one is beyond a million millions."""
    shown: pd.Series = values.where(values.abs() < LARGEST_SHOWN)
    return shown
