"""The lineage of a run as a drawing: files, datasets, model, server, and what was made from what."""

from html import escape
from typing import Any

WIDTH, HEIGHT = 150, 58  # of a box
PLACES = {  # column and row of each box
    "files": (0, 1),
    "prices": (1, 1),
    "symbols": (1, 0),
    "quarantine": (1, 2),
    "features": (2, 1),
    "model": (3, 0.5),  # so that the edge from the symbols passes above the features
    "server": (4, 0.5),
}
EDGES = (
    ("files", "prices"),
    ("files", "symbols"),
    ("files", "quarantine"),
    ("prices", "features"),
    ("features", "model"),
    ("symbols", "model"),
    ("model", "server"),
)


def draw_lineage(run: dict[str, Any]) -> str:
    """An SVG of what is current after the run, each box with the id of its version and its rows."""
    datasets = run.get("datasets", {})
    if not datasets:
        return ""
    labels = {name: (facts["version"][:8], f"{facts['rows']:,} rows") for name, facts in datasets.items()}
    if "prices" in datasets and "ledger" in run:
        labels["files"] = (datasets["prices"]["inputs"].get("source", "")[:8], f"{run['ledger']['files']:,} CSV files")
    if "model" in datasets:
        champion = run.get("metrics", {}).get("same_day", {}).get("champion", "")
        labels["model"] = (datasets["model"]["version"][:8], champion)
        labels["server"] = ("python -m", "serving")
    edges = [draw_edge(start, end) for start, end in EDGES if start in labels and end in labels]
    boxes = [draw_box(name, *labels[name]) for name in PLACES if name in labels]
    return (
        '<svg viewBox="0 0 962 250" role="img" aria-label="Lineage: files, datasets, model, server" '
        'font-family="system-ui,sans-serif" font-size="12">'
        '<defs><marker id="tip" markerWidth="8" markerHeight="8" refX="7" refY="4" orient="auto">'
        '<path d="M0 0L8 4L0 8z" fill="#5b6b7b"/></marker></defs>' + "".join(edges + boxes) + "</svg>"
    )


def place(name: str) -> tuple[float, float]:
    column, row = PLACES[name]
    return 5 + column * 200, 5 + row * 90


def draw_edge(start: str, end: str) -> str:
    (x, y), (to_x, to_y) = place(start), place(end)
    line = f"M{x + WIDTH} {y + HEIGHT / 2}L{to_x - 2} {to_y + HEIGHT / 2}"
    return f'<path d="{line}" stroke="#5b6b7b" fill="none" marker-end="url(#tip)"/>'


def draw_box(name: str, version: str, note: str) -> str:
    x, y = place(name)
    middle = x + WIDTH / 2
    return (
        f'<rect x="{x}" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="6" fill="#f4f7fa" stroke="#3b6ea8"/>'
        f'<text x="{middle}" y="{y + 18}" text-anchor="middle" font-weight="700">{escape(name)}</text>'
        f'<text x="{middle}" y="{y + 34}" text-anchor="middle" font-family="monospace">{escape(version)}</text>'
        f'<text x="{middle}" y="{y + 50}" text-anchor="middle" fill="#5b6b7b">{escape(note)}</text>'
    )
