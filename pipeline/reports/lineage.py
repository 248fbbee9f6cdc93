"""The lineage of a run as a drawing: files, datasets, model, server, and what was made from what."""

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

EDGES = (
    ("files", "prices"),
    ("files", "symbols"),
    ("files", "quarantine"),
    ("prices", "features"),
    ("features", "model"),
    ("symbols", "model"),
    ("model", "server"),
)
HEIGHT = 58  # of a box
LETTER = 6.5  # about as wide as one is


@dataclass(frozen=True)
class Layout:
    """Where the boxes stand. kind: the class of the drawing, by which the page's style chooses the one that fits."""

    kind: str
    size: tuple[int, int]
    width: int  # of a box
    places: Mapping[str, tuple[float, float]]  # left upper corner of each box
    downwards: bool  # whether edges leave a box at its foot, or at its right side


# From left to right on a wide screen and on paper; from top to bottom on a phone, where letters keep their size.
FLAT = Layout(
    "flat",
    (962, 250),
    150,
    {
        "files": (5, 95),
        "prices": (205, 95),
        "symbols": (205, 5),
        "quarantine": (205, 185),
        "features": (405, 95),
        "model": (605, 50),  # so that the edge from the symbols passes above the features
        "server": (805, 50),
    },
    downwards=False,
)
TALL = Layout(
    "tall",
    (348, 458),
    108,
    {
        "files": (120, 5),
        "quarantine": (236, 103),
        "prices": (120, 103),
        "symbols": (4, 103),
        "features": (120, 201),
        "model": (62, 299),
        "server": (62, 397),
    },
    downwards=True,
)


def draw_lineage(run: dict[str, Any]) -> str:
    """What is current after the run, each box with the id of its version and its rows: an SVG for each layout."""
    datasets = run.get("datasets", {})
    if not datasets:
        return ""
    labels = {name: (facts["version"][:8], f"{facts['rows']:,} rows") for name, facts in datasets.items()}
    if "prices" in datasets and "ledger" in run:
        labels["files"] = (datasets["prices"]["inputs"].get("source", "")[:8], f"{run['ledger']['files']:,} CSV files")
    if "model" in datasets:
        champion = run.get("metrics", {}).get("same_day", {}).get("champion", "")
        labels["model"] = (datasets["model"]["version"][:8], champion)
        labels["server"] = ("GET /predict", "API and page")
    return draw(FLAT, labels) + draw(TALL, labels)


def draw(layout: Layout, labels: Mapping[str, tuple[str, str]]) -> str:
    width, height = layout.size
    tip = f"tip-{layout.kind}"
    edges = [draw_edge(layout, start, end, tip) for start, end in EDGES if start in labels and end in labels]
    boxes = [draw_box(layout, name, *labels[name]) for name in layout.places if name in labels]
    return (
        f'<svg class="{layout.kind}" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
        'aria-label="Lineage: files, datasets, model, server" font-family="system-ui,sans-serif" font-size="12">'
        f'<defs><marker id="{tip}" markerWidth="8" markerHeight="8" refX="7" refY="4" orient="auto">'
        f'<path class="tip" d="M0 0L8 4L0 8z"/></marker></defs>{"".join(edges + boxes)}</svg>'
    )


def draw_edge(layout: Layout, start: str, end: str, tip: str) -> str:
    (x, y), (to_x, to_y) = layout.places[start], layout.places[end]
    if layout.downwards:
        line = f"M{x + layout.width / 2:g} {y + HEIGHT}L{to_x + layout.width / 2:g} {to_y - 2}"
    else:
        line = f"M{x + layout.width} {y + HEIGHT / 2:g}L{to_x - 2} {to_y + HEIGHT / 2:g}"
    return f'<path class="edge" d="{line}" marker-end="url(#{tip})"/>'


def draw_box(layout: Layout, name: str, version: str, remark: str) -> str:
    x, y = layout.places[name]
    middle = x + layout.width / 2
    too_long = len(remark) * LETTER > layout.width
    squeezed = f' textLength="{layout.width - 8}" lengthAdjust="spacingAndGlyphs"' if too_long else ""
    return (
        f'<rect class="box" x="{x}" y="{y}" width="{layout.width}" height="{HEIGHT}" rx="6"/>'
        f'<text x="{middle:g}" y="{y + 18}" text-anchor="middle" font-weight="700">{escape(name)}</text>'
        f'<text x="{middle:g}" y="{y + 34}" text-anchor="middle" font-family="monospace">{escape(version)}</text>'
        f'<text class="note" x="{middle:g}" y="{y + 50}" text-anchor="middle"{squeezed}>{escape(remark)}</text>'
    )
