"""A run as run.json holds it, small and with something in every section of its report."""

import nbformat
from matplotlib.figure import Figure

from pipeline.charts import draw_png

STAGE = {
    "name": "small",
    "state": "done",
    "seconds": 1.0,
    "why": "asked for",
    "error": None,
    "peak_bytes": 0,
    "run": None,
}
RUN = {
    "started": "2026-11-25T12:49:33+00:00",
    "exit_code": 0,
    "error": None,
    "seconds": 1.0,
    "stages": [STAGE],
    "parameters": {},
    "verdicts": [],
}
LONG = "The champion, hist_gradient_boosting, is 19.9% better than the naive answer on the test days, which are many."
DAMAGE = (
    "/a/folder/with_a_long/and_a_longer_name_without_any_blank_in_it/manifest.json cannot be read (Expecting value)."
)
REVISED = {
    "Symbol": "<b>&", "Date": "2020-03-31", "Close": 10.5, "Close before": 10.25, "Volume": 18_000_000_000,
    "Volume before": 9_050_400,
}  # fmt: skip
WINDOW = {
    "sessions": 20, "from": "2020-03-03", "to": "2020-04-01", "forecasts": 152_980, "mae": 80.0, "naive_mae": 100.0,
    "skill": 0.2, "coverage": 0.797,
}  # fmt: skip


def make_scores(champion: str, **errors: float) -> dict:
    models = {name: {"mae": error} for name, error in errors.items()}
    return {"same_day": {"champion": champion, "test_from": "2018-01-01", "coverage": 0.8, "models": models}}


def make_full_run() -> dict:
    """A run with all that a report can show, and long names wherever a name can be long."""
    names = ("prices", "symbols", "quarantine", "features", "model")
    inputs = {"source": "f65a0e344062f7cc"}
    measure = {"what": "vol_moving_avg", "then": 66_600_000.0, "now": 1.5, "psi": 0.3, "shift": "strong"}
    example = {
        "file": "stocks/" + "A" * 40 + ".csv",
        "line": 28_151_758,
        "text": "2020-01-02,,,,,," * 10,
        "reason": "blank",
    }
    return RUN | {
        "verdicts": [{"kept": True, "what": LONG}, {"kept": False, "what": DAMAGE}],
        "stages": [
            STAGE | {"seconds": 125.0, "peak_bytes": 2**30},
            STAGE | {"name": "other", "state": "cached", "run": "20261125T124839627501", "seconds": 0.0},
        ],
        "parameters": {"RUN_DIR": "/a/" + "folder" * 12, "MODELS": "naive,hist_gradient_boosting,grid"},
        "versions": {"this project's code": "413bfa3b3093980a", "machine": "Linux x86_64, 2 cores, 24 GiB"},
        "datasets": {name: {"version": "6d6a3a6c9996fc0e", "rows": 28_151_758, "inputs": inputs} for name in names},
        "ledger": {
            "files": 8_049,
            "read": 28_151_758,
            "published": 28_151_757,
            "refused": 1,
            "balances": True,
            "first_date": "1962-01-02",
            "last_date": "2020-04-01",
            "nameless": 12,
            "reasons": {"At least one of the seven fields is empty.": 1},
            "examples": [example],
        },
        "flags": {"open_zero": 1_100_000},
        "update": {
            "prices": "6d6a3a6c9996fc0e",
            "asked": "2020-04-02T00:15:00+00:00",
            "outcomes": [{"outcome": "restated", "symbols": 87, "added": 1_234, "meaning": LONG}],
            "notable": [{"symbol": "A" * 40, "state": "held", "through": "", "rows": 1, "added": 0, "note": LONG}],
            "revised": {"rows": 28_151, "symbols": 8_049, "listed": [REVISED]},
        },
        "next_day": {
            "date": "2020-04-02",
            "symbols": 8_049,
            "late": True,
            "listed": [
                {"symbol": "A" * 40, "name": LONG, "last_date": "2020-04-01", "date": "2020-04-02"}
                | {"volume": 1_800_000_000, "low": 9_050_400, "high": 2_800_000_000, "vol_moving_avg": 66_600_000.0}
            ],
            "others": 1,
            "others_listed": [{"symbol": "<b>&", "last_date": "2020-03-31"}],
        },
        "track_record": {"live": {"windows": {"20": WINDOW, "60": WINDOW}}, "replay": None, "doubts": []},
        "drift": {"model": "938a0b2b6ef22416", "measures": [measure, measure | {"shift": "none"}]},
        "metrics": make_scores(
            "hist_gradient_boosting", naive=332_072_900, hist_gradient_boosting=265_893_400, mean_of_30=359_543_600
        ),
    }


def make_notebook(*titles: str) -> nbformat.NotebookNode:
    """An executed notebook with a chart for each title."""
    cells = [nbformat.v4.new_markdown_cell("## 7. Look at what came in")]
    for title in titles:
        figure = Figure(figsize=(9, 3.6), dpi=96)
        figure.subplots().set_title(title, loc="left")
        png, facts = draw_png(figure)
        plot = nbformat.v4.new_output("display_data", {"image/png": png}, metadata={"image/png": facts})
        cells.append(nbformat.v4.new_code_cell("plt.show()", execution_count=1, outputs=[plot]))
    return nbformat.v4.new_notebook(cells=cells)
