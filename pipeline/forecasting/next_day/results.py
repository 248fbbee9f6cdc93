"""What metrics.json and the tables of the lesson say of the next day's models."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from pipeline.forecasting.champion import Choice
from pipeline.forecasting.evaluation import round_digits
from pipeline.forecasting.next_day.folds import format_day
from pipeline.forecasting.next_day.judgement import Judged
from pipeline.forecasting.next_day.plan import Plan
from pipeline.forecasting.next_day.rows import NextDayRows
from pipeline.forecasting.next_day.targets import NAIVE
from pipeline.forecasting.next_day.walk import Step, score_rows
from pipeline.forecasting.records import list_scores
from pipeline.reports.skill import tell_skill

WORST = {"size": "decile of size", "spread": "decile of restlessness", "year": "year"}
Scores = Mapping[str, Mapping[str, float]]  # forecast -> scores


def summarize(plan: Plan, judged: Judged, choice: Choice, method: str) -> dict[str, Any]:
    """The part `next_day` of metrics.json, but for the scores of all models. method: of the champion's bands."""
    champion = choice.champion
    overall = judged.score()[method]
    groups = {cut: judged.score_by(cut) for cut in WORST}
    return {
        "champion": champion,
        "within_chance": list(choice.alike),
        "test_from": format_day(plan.folds[0].test_day),
        "calibration_from": format_day(plan.folds[0].calibration_day),
        "folds": [fold.name for fold in plan.folds],
        "refit": plan.refit,
        "held_out": plan.hold_out,
        "interval": method,
        **{name: overall[name] for name in ("coverage", "width", "pinball")},
        **{f"coverage_by_{cut}": take(groups[cut], method, "coverage") for cut in WORST},
        **{f"skill_by_{cut}": take(groups[cut], champion, "skill") for cut in WORST},
        "log_r2": take(judged.score_as_papers_do(), champion, "log_skill"),
        "log_r2_by_size": take(groups["size"], champion, "log_skill"),
    }


def list_models(judged: Judged, steps: Sequence[Step], year_before: NextDayRows) -> dict[str, dict[str, float]]:
    """The scores of the naive answers and of all models, as metrics.json holds them.

    year_before: the calibration of the first fold, on which the champion was chosen.
    """
    overall = judged.score()
    test = {name: overall[name] for name in dict.fromkeys((*NAIVE, *steps[0].models))}
    learned = {name: model.train_rows for name, model in steps[-1].models.items()}
    return list_scores(test, score_rows(steps[0].models, year_before), learned)


def take(groups: Mapping[str, Scores], name: str, score: str) -> dict[str, float]:
    """One score of one forecast by group, rounded as JSON holds it."""
    return {group: round_digits(scores[name][score], 4) for group, scores in groups.items()}


def show_models(judged: Judged, models: Mapping[str, Mapping[str, float]]) -> pd.DataFrame:
    """The errors of all answers, and what they are against the naive one, over all days and year by year.

    models: see list_models. A row for each of them.
    """
    years = judged.score_by("year")
    rows = {
        name: {"MAE": f"{scores['mae']:,.0f}", "R²": f"{scores['r2']:.4f}", "RMSLE": f"{scores['rmsle']:.3f}"}
        | {"against naive": tell_skill(scores["skill"])}
        | {year: tell_skill(found[name]["skill"]) for year, found in years.items() if name in found}
        for name, scores in models.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index")


def show_papers_r2(judged: Judged, models: list[str]) -> pd.DataFrame:
    """The R² of log volume less the mean of the last five, as papers report it. A row for each choice of days."""
    deciles = {f"decile {size} of size": scores for size, scores in judged.score_by("size").items()}
    table = judged.score_as_papers_do() | {name: deciles[name] for name in sorted(deciles, key=rank)}
    rows = {
        label: {"rows": scores["naive"]["rows"]}
        | {name: f"{scores[name]['log_skill']:.1%}" for name in models if name != "naive"}
        for label, scores in table.items()
        if scores
    }
    return pd.DataFrame(rows).T


def rank(label: str) -> int:
    """The number in the label of a decile."""
    return int(label.split()[1])


def show_bands(judged: Judged, methods: list[str]) -> pd.DataFrame:
    """What the bands of each method hold, in all and in the groups where they hold least and most; their width and
    pinball loss. A row for each method.
    """
    overall = judged.score()
    groups = {cut: judged.score_by(cut) for cut in WORST}
    rows = {}
    for method in methods:
        held = {name: take(groups[cut], method, "coverage").values() for cut, name in WORST.items()}
        rows[method] = {
            "days inside": f"{overall[method]['coverage']:.1%}",
            **{f"by {name}": f"{min(shares):.0%} to {max(shares):.0%}" for name, shares in held.items()},
            "width": f"{overall[method]['width']:.2f}",
            "pinball loss": f"{overall[method]['pinball']:.3f}",
        }
    return pd.DataFrame(rows).T


def conclude(judged: Judged, champion: str, method: str) -> list[str]:
    """What the numbers say of the champion and of its bands, a sentence each."""
    scores = judged.score()
    years = {year: found[champion]["skill"] for year, found in judged.score_by("year").items()}
    worst, best = min(years, key=lambda year: years[year]), max(years, key=lambda year: years[year])
    rivals = [name for name in ("naive", "linear") if name != champion]
    deciles = judged.score_by("size").values()
    ahead = sum(all(found[champion]["r2"] >= found[name]["r2"] for name in rivals) for found in deciles)
    pinball = tell_skill(1 - scores[method]["pinball"] / scores["size"]["pinball"]) if scores["size"]["pinball"] else ""
    shares = [share for cut in WORST for share in take(judged.score_by(cut), method, "coverage").values()]
    return [
        f"ok: {champion} against naive: {tell_skill(scores[champion]['skill'])}",
        f"ok: least in {worst}, {tell_skill(years[worst])}; most in {best}, {tell_skill(years[best])}",
        f"ok: its R² of the shares is at least that of {' and '.join(rivals)} in {ahead} of {len(deciles)} deciles "
        "of size",
        f"ok: {scores[method]['coverage']:.1%} of the days lie in their interval, in groups {min(shares):.0%} to "
        f"{max(shares):.0%}",
        f"ok: intervals by {method} against intervals by size, in pinball loss: {pinball or 'equal'}",
    ]
