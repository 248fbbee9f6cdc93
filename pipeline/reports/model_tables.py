"""The models of a run: how far each is from the naive answer, and from itself in the run before."""

from html import escape

from pipeline.reports.markup import break_name, note, table
from pipeline.reports.scores import Scores
from pipeline.reports.skill import LEAST, find_skill, tell_skill


def models_table(scores: Scores, before: Scores, task: str) -> str:
    """Mean absolute error of each model, the best first. before: the scores of the run before."""
    if not (metrics := scores.get(task)):
        return ""
    models = {name: model["mae"] for name, model in metrics["models"].items()}
    earlier = before.get(task, {}).get("models", {})
    naive = models.get("naive")
    skills = {name: find_skill(error, naive) for name, error in models.items()} if naive else {}
    widest = max(map(abs, skills.values()), default=0.0)
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
    return table(headings, rows, "models") + note(f"Tested on days from {escape(str(metrics['test_from']))} on.")


def draw_skill(skill: float, widest: float) -> str:
    """A bar from the middle, where naive is: to the right where a model is better, to the left where it is worse."""
    if abs(skill) < LEAST:
        return '<span class="track"></span>'
    width = abs(skill) / widest * 50
    side, kind = (50.0, "better") if skill > 0 else (50 - width, "worse")
    return f'<span class="track"><i class="{kind}" style="left:{side:.1f}%;width:{width:.1f}%"></i></span>'
