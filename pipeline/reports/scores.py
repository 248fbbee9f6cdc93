"""The scores of a model as metrics.json holds them. Damaged ones are told, and not believed."""

import json
import math
from collections.abc import Iterator
from typing import Any

from pipeline.datasets.places import Place

TASKS = {"same_day": "Volume of the day", "next_day": "Volume of the next day"}
NEEDED = {"champion", "test_from", "coverage", "models"}

Scores = dict[str, dict[str, Any]]  # task -> what training noted of it, with at least the keys NEEDED


def read_scores(path: Place) -> tuple[Scores, list[str]]:
    """The scores in a metrics.json, and a sentence for whatever in it is damaged and left out. None where there is no
    such file.
    """
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}, []
    except (OSError, ValueError, RecursionError) as error:
        return {}, [f"{path} cannot be read ({error}): the scores are left out."]
    return sift_scores(found, path)


def sift_scores(found: object, source: Place) -> tuple[Scores, list[str]]:
    """The tasks whose scores are whole, and a sentence for each other one."""
    if not isinstance(found, dict):
        return {}, [f"{source}: the scores are no JSON object, so they are left out."]
    kept, damage = {}, []
    for task, scores in found.items():
        if task not in TASKS or not scores:
            continue
        if fault := next(find_faults(scores), None):
            damage.append(f"{source}: {task} {fault}, so its scores are left out.")
        else:
            kept[task] = scores
    return kept, damage


def find_faults(scores: object) -> Iterator[str]:
    """What is wrong with the scores of a task, each as it continues a sentence."""
    if not isinstance(scores, dict):
        yield "is no JSON object"
        return
    if absent := sorted(NEEDED - scores.keys()):
        yield f"lacks {', '.join(absent)}"
        return
    yield from (f"holds no number at {place}" for place in find_not_finite(scores))
    models = scores["models"]
    if not isinstance(models, dict) or scores["champion"] not in models:
        yield "has no scores of its champion"
        return
    for name, model in models.items():
        if not isinstance(model, dict) or not is_number(model.get("mae")):
            yield f"has no mean absolute error of {name}"
    if not is_number(scores["coverage"]):
        yield "has no coverage"


def is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def find_not_finite(value: object, place: str = "") -> Iterator[str]:
    """Where a NaN or an infinity stands, as models.grid.mae."""
    if isinstance(value, float) and not math.isfinite(value):
        yield place
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, child in children:
        yield from find_not_finite(child, f"{place}.{name}".lstrip("."))
