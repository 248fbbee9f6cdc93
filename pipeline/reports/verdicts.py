"""What to look at before believing a run: each promise of the pipeline, and whether its current data keep it."""

from collections.abc import Iterator
from typing import Any, TypedDict

from pipeline.reports.drift import tell_drift
from pipeline.reports.scores import TASKS
from pipeline.reports.skill import LEAST, find_skill, tell_share, tell_skill
from pipeline.reports.track_record import tell_measures

MADE_OF = (("features", "prices"), ("model", "features"))
INTERVAL, LEAST_HELD = 0.8, 0.75  # share of days that an interval promises to hold, and when the promise is broken

LIVE_WINDOW = "60"  # sessions
LEAST_SESSIONS = 20  # before which the diary has no doubts: a few bad days say little


class Verdict(TypedDict):
    """Whether a promise is kept, and what it is, as a sentence."""

    kept: bool
    what: str


def judge(run: dict[str, Any]) -> list[Verdict]:
    """The verdicts on what run.json holds. What is absent is not judged."""
    damage = [say(False, sentence) for sentence in run.get("damage", [])]
    return [*damage, *judge_rows(run), *judge_lineage(run), *judge_models(run), *judge_record(run), *judge_drift(run)]


def judge_rows(run: dict[str, Any]) -> Iterator[Verdict]:
    ledger = run.get("ledger")
    if not ledger:
        return
    sums = f"{ledger['read']:,} rows read, {ledger['published']:,} published and {ledger['refused']:,} refused"
    yield say(ledger["balances"], f"The ledger {'balances' if ledger['balances'] else 'does not balance'}: {sums}.")
    limit = run["parameters"].get("MAX_QUARANTINE_SHARE")
    if limit is not None and ledger["read"]:
        share = ledger["refused"] / ledger["read"]
        yield say(share <= limit, f"Rows that were refused: {tell_share(share)}; {tell_share(limit)} are allowed.")
    for warning in run.get("warnings", []):
        yield say(False, f"The delivery: {warning}")


def judge_lineage(run: dict[str, Any]) -> Iterator[Verdict]:
    datasets = run.get("datasets", {})
    for made, of in MADE_OF:
        if made in datasets and of in datasets:
            same = datasets[made]["inputs"].get(of) == datasets[of]["version"]
            yield say(same, f"The dataset {made} was {'' if same else 'NOT '}made of the current {of}.")


def judge_models(run: dict[str, Any]) -> Iterator[Verdict]:
    for task, name in TASKS.items():
        metrics = run.get("metrics", {}).get(task)
        if not metrics:
            continue
        yield from judge_champion(name, metrics["champion"], metrics["models"])
        held = metrics["coverage"]
        yield say(held >= LEAST_HELD, f"{name}: {held:.1%} of the test days lie in their {INTERVAL:.0%} interval.")


def tell_models(run: dict[str, Any]) -> list[str]:
    """What run.json holds of the models that are published, in a sentence for each question."""
    told = []
    for task, name in TASKS.items():
        metrics = run.get("metrics", {}).get(task)
        if not metrics or "naive" not in metrics["models"]:
            continue
        champion = metrics["champion"]
        skill = find_skill(metrics["models"][champion]["mae"], metrics["models"]["naive"]["mae"])
        how = f"{tell_skill(skill)} {'to' if abs(skill) < LEAST else 'than'} naive"
        held = f"{metrics['coverage']:.1%} of the test days in its {INTERVAL:.0%} interval"
        told.append(f"{name}: {champion}, {how}; {held}")
    return told


def judge_champion(task: str, champion: str, models: dict[str, Any]) -> Iterator[Verdict]:
    if "naive" not in models:
        return
    skill = find_skill(models[champion]["mae"], models["naive"]["mae"])
    told = f"is {tell_skill(skill)} {'to' if abs(skill) < LEAST else 'than'} the naive answer on the test days"
    if champion == "naive":
        told = "is the naive answer itself: no model beat it on the test days"
    yield say(skill >= LEAST, f"{task}: the champion, {champion}, {told}.")


def judge_record(run: dict[str, Any]) -> Iterator[Verdict]:
    """By the live record alone: a replay says how good the recipe is, not how good what was published was."""
    record = run.get("track_record")
    if not record:
        return
    for doubt in record["doubts"]:
        yield say(False, doubt)
    if record["live"] and not record["doubts"]:
        window = record["live"]["windows"][LIVE_WINDOW]
        young = window["sessions"] < LEAST_SESSIONS
        wait = f" It is judged once {LEAST_SESSIONS} sessions are scored." if young else ""
        yield say(True, f"Live: {tell_measures(window)}{wait}")


def judge_drift(run: dict[str, Any]) -> Iterator[Verdict]:
    if drift := run.get("drift"):
        steady = bool(drift["measures"]) and all(row["shift"] == "none" for row in drift["measures"])
        told = tell_drift(drift)
        yield say(steady, f"{told[0].upper()}{told[1:]}{'' if told.endswith('.') else '.'}")


def say(kept: bool, what: str) -> Verdict:
    return {"kept": bool(kept), "what": what}
