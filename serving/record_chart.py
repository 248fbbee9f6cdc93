"""A track record as a picture: for each session the share of its forecasts that lay in their interval."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

WIDTH, HEIGHT, TOP, BOTTOM, LEFT = 720, 180, 10, 150, 64
PROMISED = 0.8


@dataclass(frozen=True)
class Bar:
    """A session's bar, in units of the picture, and what to tell where the pointer rests."""

    x: float
    y: float
    width: float
    height: float
    told: str


@dataclass(frozen=True)
class DaysChart:
    """bars: a bar a session. promised: the height of the line at 80%."""

    bars: list[Bar]
    promised: float
    first: str
    last: str


def draw_days(days: Sequence[dict[str, Any]]) -> DaysChart:
    """days: a session each, oldest first, with date, coverage and skill; one at least."""
    step = (WIDTH - LEFT) / max(20, len(days))
    bars = []
    for place, day in enumerate(days):
        top = scale(day["coverage"])
        told = f"{day['date']}: {day['coverage']:.1%} inside, skill {day['skill']:+.1%}"
        bars.append(Bar(round(LEFT + place * step, 1), top, round(0.8 * step, 1), round(BOTTOM - top, 1), told))
    return DaysChart(bars, scale(PROMISED), days[0]["date"], days[-1]["date"])


def scale(share: float) -> float:
    return round(BOTTOM - share * (BOTTOM - TOP), 1)
