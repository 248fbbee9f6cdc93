"""The models of a run: how far each is from the naive answer, and from itself in the run before."""

from html import escape
from typing import Any

from pipeline.reports.markup import break_name, note, table
from pipeline.reports.scores import Scores, is_number
from pipeline.reports.skill import LEAST, find_skill, tell_skill

NAIVE = {
    "same_day": "The naive answer is the mean of the last 30 days, vol_moving_avg itself.",
    "next_day": "The naive answer is the geometric mean of the last five days.",
}
GROUPS = {"size": "decile of size", "spread": "decile of restlessness", "year": "year"}


def models_table(scores: Scores, before: Scores, task: str) -> str:
    """Mean absolute error of each model, the best first. before: the scores of the run before."""
    if not (metrics := scores.get(task)):
        return ""
    models = {name: model["mae"] for name, model in metrics["models"].items()}
    earlier = before.get(task, {}).get("models", {})
    skills = find_skills(metrics)
    # Of both questions: bars that stand on one page are of one scale.
    widest = max((abs(skill) for one in scores.values() for skill in find_skills(one).values()), default=0.0)
    headings = ["model", "#mean absolute error, shares"]
    headings += ["#against naive"] * bool(skills) + ["#against the previous run"] * bool(earlier)
    rows = []
    for name, error in sorted(models.items(), key=lambda one: one[1]):
        label = f"<b>{break_name(name)}</b>, the champion" if name == metrics["champion"] else break_name(name)
        rows.append([label, f"{error:,.0f}"])
        if skills:
            told = "the baseline" if name == "naive" else tell_skill(skills[name])
            rows[-1].append(f'{draw_skill(skills[name], widest)} <span class="told">{told}</span>')
        if earlier:
            rows[-1].append(tell_skill(find_skill(error, earlier[name]["mae"])) if name in earlier else "new")
    told = (
        f"Tested on days from {escape(str(metrics['test_from']))} on. {tell_interval(metrics)} {tell_log_r2(metrics)}"
    )
    return table(headings, rows, "models") + note(f"{NAIVE[task] if skills else ''} {told}".strip())


def find_skills(metrics: dict[str, Any]) -> dict[str, float]:
    """Of each model against naive; none where naive was not judged."""
    models = metrics["models"]
    naive = models["naive"]["mae"] if "naive" in models else None
    return {name: read_skill(model, naive) for name, model in models.items()} if naive else {}


def read_skill(model: dict[str, Any], naive: float) -> float:
    """Against naive on the rows that the model can answer, as training noted it; else by the errors over all rows."""
    return float(model["skill"]) if is_number(model.get("skill")) else find_skill(model["mae"], naive)


def tell_interval(metrics: dict[str, Any]) -> str:
    """What the champion's interval holds, in all and by group, and how good it is; of that, what training noted."""
    ranges = [
        f"{min(shares):.0%} to {max(shares):.0%} by {group}"
        for name, group in GROUPS.items()
        if (shares := list_numbers(metrics.get(f"coverage_by_{name}")))
    ]
    told = f"{metrics['coverage']:.1%} of them lie in the champion's 80% interval"
    told += f": {', '.join(ranges)}." if ranges else "."
    if is_number(metrics.get("width")) and is_number(metrics.get("pinball")):
        told += (
            f" In logs of volume its mean width is {metrics['width']:.2f}, its pinball loss {metrics['pinball']:.3f}."
        )
    return told


def tell_log_r2(metrics: dict[str, Any]) -> str:
    """The R² of log volume less the mean of its last five days, as papers report it; of that, what training noted."""
    shares = metrics.get("log_r2")
    if not list_numbers(shares) or not isinstance(shares, dict):
        return ""
    told = ", ".join(f"{escape(str(days))} {share:.1%}" for days, share in shares.items())
    return f"R² of log volume less the mean of its last five: {told}."


def list_numbers(found: object) -> list[float]:
    """The values of a table of numbers, none for anything else."""
    values = list(found.values()) if isinstance(found, dict) else []
    return values if all(map(is_number, values)) else []


def draw_skill(skill: float, widest: float) -> str:
    """A bar from the middle, where naive is: to the right where a model is better, to the left where it is worse."""
    if abs(skill) < LEAST:
        return '<span class="track"></span>'
    width = abs(skill) / widest * 50
    side, kind = (50.0, "better") if skill > 0 else (50 - width, "worse")
    return f'<span class="track"><i class="{kind}" style="left:{side:.1f}%;width:{width:.1f}%"></i></span>'
