"""The head of the model card that machines read: Hugging Face's, in YAML.

https://huggingface.co/docs/hub/model-cards
"""

from collections.abc import Mapping
from typing import Any

import yaml

NAMES = {"same_day": "Volume of the day", "next_day": "Volume of the next day"}
SHOWN = {"mae": ("mae", "mean absolute error, shares"), "r2": ("r_squared", "R²")}


def make_header(metrics: Mapping[str, Any]) -> str:
    """The champions and their errors on the test days. metrics: as metrics.json holds them."""
    head = {
        "language": "en",
        "license": "mit",
        "pipeline_tag": "tabular-regression",
        "tags": ["finance", "stocks", "trading-volume", "tabular-regression"],
        "metrics": [kind for kind, _ in SHOWN.values()],
        "model-index": [
            {"name": "trading-volume", "results": [list_scores(task, result) for task, result in metrics.items()]}
        ],
    }
    return f"---\n{yaml.safe_dump(head, sort_keys=False, allow_unicode=True)}---\n"


def list_scores(task: str, result: Mapping[str, Any]) -> dict[str, Any]:
    scores = result["models"][result["champion"]]
    return {
        "task": {"type": "tabular-regression", "name": NAMES[task]},
        "dataset": {"type": "daily-stock-prices", "name": f"days from {result['test_from']}", "split": "test"},
        "metrics": [{"type": kind, "name": name, "value": scores[key]} for key, (kind, name) in SHOWN.items()],
    }
