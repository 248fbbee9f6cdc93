"""What is written about a training: metrics.json, the model card, and a run in MLflow where one is set up."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

TRACKING = "MLFLOW_TRACKING_URI"
EXPERIMENT = "stock market volume"
ROUNDS = {"mae": "{:,.0f}", "rmse": "{:,.0f}", "r2": "{:.4f}", "wape": "{:.3f}", "rmsle": "{:.3f}", "skill": "{:+.2%}"}


def write_metrics(folder: Path, metrics: Mapping[str, Any]) -> None:
    """Write metrics.json. metrics: {"same_day": {"champion", "test_from", "models": {name: scores}, ...}, "next_day": the same}."""
    (folder / "metrics.json").write_text(json.dumps(metrics, indent=1, allow_nan=False) + "\n")


def write_model_card(
    folder: Path, facts: Mapping[str, Any], metrics: Mapping[str, Any], charts: Mapping[str, Path]
) -> None:
    """Write model_card.md. facts: title -> sentence or list of sentences; charts: caption -> file in `folder`."""
    lines = ["# Model card: trading volume of a stock or ETF", ""]
    for title, text in facts.items():
        lines += [f"## {title}", "", *([f"- {item}" for item in text] if isinstance(text, list) else [text]), ""]
    for task, result in metrics.items():
        scores = {
            name: {key: value for key, value in row.items() if key in ROUNDS} for name, row in result["models"].items()
        }
        lines += [f"## Test scores: {task.replace('_', ' ')}", "", *to_markdown(scores), ""]
        lines += [
            f"Chosen on the years before the test: **{result['champion']}**. Test from {result['test_from']}.",
            "",
        ]
    for caption, path in charts.items():
        lines += [f"![{caption}]({path.name})", ""]
    (folder / "model_card.md").write_text("\n".join(lines))


def to_markdown(scores: Mapping[str, Mapping[str, float]]) -> list[str]:
    """A table in Markdown, a row a model."""
    columns = list(next(iter(scores.values())))
    lines = [f"| model | {' | '.join(columns)} |", f"|---|{'---:|' * len(columns)}"]
    for name, row in scores.items():
        lines.append(f"| {name} | {' | '.join(ROUNDS[key].format(row[key]) for key in columns)} |")
    return lines


def show_scores(models: Mapping[str, Mapping[str, float]]) -> pd.DataFrame:
    """The scores as a table to read, a row a model, rounded."""
    return pd.DataFrame(
        {key: {name: form.format(row[key]) for name, row in models.items()} for key, form in ROUNDS.items()}
    )


def log_to_mlflow(bundle: Path, parameters: Mapping[str, Any], metrics: Mapping[str, Any]) -> bool:
    """Log parameters, metrics and the bundle's files as a run, if MLFLOW_TRACKING_URI is set. Returns whether it was.

    Needs the package mlflow or mlflow-skinny; raises ModuleNotFoundError, which names the remedy, where it is missing.
    """
    if not os.environ.get(TRACKING):
        return False
    try:
        import mlflow
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            f"{TRACKING} is set, but MLflow is not installed: pip install mlflow-skinny, or unset it."
        ) from None
    mlflow.set_experiment(EXPERIMENT)
    with mlflow.start_run(run_name=bundle.name):
        mlflow.log_params(dict(parameters))
        for task, result in metrics.items():
            mlflow.set_tag(f"{task}.champion", result["champion"])
            for model, scores in result["models"].items():
                numbers = {
                    f"{task}.{model}.{name}": value for name, value in scores.items() if isinstance(value, int | float)
                }
                mlflow.log_metrics(numbers)
        mlflow.log_artifacts(str(bundle), artifact_path="bundle")
    return True
