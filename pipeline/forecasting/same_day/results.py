"""What metrics.json and the bundle say of the models of the same day."""

from collections.abc import Mapping
from datetime import date
from typing import Any

import pandas as pd

from pipeline.forecasting.champion import Choice
from pipeline.forecasting.records import list_scores
from pipeline.forecasting.same_day.judgement import Judgement, Trial, score_groups
from pipeline.forecasting.same_day.models import Fitted
from pipeline.forecasting.same_day.moments import FEATURES, Moments

LEVELS = {"size": "decile", "kind": "kind", "year": "year"}


def summarize(
    trial: Trial, judged: Judgement, models: Mapping[str, Fitted], choice: Choice, tried: pd.DataFrame
) -> dict[str, Any]:
    """The part `same_day` of metrics.json. tried: see experiments.run_experiments."""
    champion = choice.champion
    scores = judged.test.pool().score()
    groups = {name: score_groups(judged.test, trial.groups, level, champion) for name, level in LEVELS.items()}
    train_rows = {name: model.train_rows for name, model in models.items()}
    return {
        "champion": champion,
        "within_chance": list(choice.alike),
        "test_from": str(trial.periods.test_from),
        "calibration_from": str(trial.periods.calibration_from),
        "models": list_scores(scores, judged.weeks.pool().score(), train_rows),
        **{name: scores[champion][name] for name in ("coverage", "width", "pinball")},
        **{f"coverage_by_{name}": list_column(groups[name]["coverage"]) for name in ("size", "year")},
        **{f"skill_by_{name}": list_column(group["skill"]) for name, group in groups.items()},
        "skill_of_grid": list_column(tried.set_index(tried["trained on"] + ": " + tried["judged on"])["skill"]),
    }


def list_column(values: pd.Series) -> dict[str, float]:
    """Numbers as JSON takes them, by their labels; unknown ones are left out."""
    return {str(label): round(float(value), 4) for label, value in values.dropna().items()}


def describe_training(moments: Moments, first: date, last: date) -> dict[str, Any]:
    """What the bundle says of the rows that its model learned from: the days, and the extremes of both features."""
    bounds = zip(moments.least.tolist(), moments.most.tolist(), strict=True)
    ranges = {name: list(both) for name, both in zip(FEATURES, bounds, strict=False)}
    return {"ranges": ranges, "trained": [str(first), str(last)]}
