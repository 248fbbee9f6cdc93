"""The model card of a training: what the model is for, what it learned from, how good it is, and where it fails."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.forecasting.card_header import make_header
from pipeline.forecasting.records import WRITTEN, list_columns

USE = """Answers two questions: a day's Volume from `vol_moving_avg` and `adj_close_rolling_med` of that day, and the
Volume of a symbol's next trading day. For planning and teaching; not for trading."""

LIMITS = """## Limits

- News is not foreseen: a day with ten times the usual volume lies outside of its interval.
- `vol_moving_avg` holds the day itself, so the first question is no forecast; the second one is.
- Only symbols that are listed in the data are known; those that were delisted before are missing (survivorship).
- Intervals drift when markets do: train again once a year.
"""


def write_model_card(
    folder: Path,
    metrics: Mapping[str, Any],
    rows: pd.DataFrame,
    contents: Mapping[str, Any],
    charts: Mapping[str, Path],
) -> None:
    """Write model_card.md. rows: counts by period and state; contents: the manifest's `model`; charts: caption ->
    file in `folder`.
    """
    lines = ["# Model card: trading volume of stocks and ETFs", "", USE, "", "## Data", "", *tell_data(rows, contents)]
    for task, result in metrics.items():
        lines += ["", f"## {task.replace('_', ' ').capitalize()}", "", *tell_task(result)]
        lines += ["", *to_markdown(result["models"])]
    for caption, path in charts.items():
        lines += ["", f"![{caption}]({path.name})"]
    (folder / "model_card.md").write_text(make_header(metrics) + "\n".join([*lines, "", LIMITS]) + "\n")


def tell_data(rows: pd.DataFrame, contents: Mapping[str, Any]) -> Iterator[str]:
    first, last = contents["trained"]
    yield f"- Version `{contents['data_version']}` of `features`, trained from {first} to {last}."
    for period, counts in rows.iterrows():
        numbers = ", ".join(f"{count:,} rows {state}" for state, count in counts.items())
        yield f"- {str(period)[2:].capitalize()}: {numbers}."
    for name, (low, high) in contents["ranges"].items():
        yield f"- `{name}` from {low:,.4g} to {high:,.4g} in training; outside of that an answer says so."


def tell_task(result: Mapping[str, Any]) -> Iterator[str]:
    """How the model of one question was chosen and judged."""
    yield f"Chosen on the years from {result['calibration_from']}: **{result['champion']}**."
    if result.get("refit"):
        yield "The scores are of models that learned until the test. What is published then learned from all days."
    yield f"Tested from {result['test_from']}: {result['coverage']:.1%} of the days lie in their 80% interval."
    if folds := result.get("folds"):
        yield f"Fitted anew before each stretch of the test: {', '.join(folds)}."
    if shares := result.get("log_r2"):
        told = ", ".join(f"{days} {share:.1%}" for days, share in shares.items())
        yield f"R² of log volume less the mean of its last five: {told}."
    if not result.get("held_out", True):
        yield "Too few symbols are there to hold one out: these days are of the symbols that trained."


def to_markdown(scores: Mapping[str, Mapping[str, float]]) -> list[str]:
    """A table in Markdown, one row per model."""
    columns = list_columns(scores)
    lines = [f"| model | {' | '.join(columns)} |", f"|---|{'---:|' * len(columns)}"]
    for name, row in scores.items():
        lines.append(f"| {name} | {' | '.join(WRITTEN[key](row[key]) for key in columns)} |")
    return lines
