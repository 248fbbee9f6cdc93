"""What to look at before believing a run: each promise of the pipeline, and whether its current data keep it."""

from collections.abc import Iterator
from typing import Any

from pipeline.reports.drift import tell_drift

TASKS = {"same_day": "Volume of the day", "next_day": "Volume of the next day"}
MADE_OF = (("features", "prices"), ("model", "features"))
INTERVAL, LEAST_HELD = 0.8, 0.75  # share of days that an interval promises to hold, and when the promise is broken

Verdict = dict[str, Any]  # {"kept": bool, "what": a sentence}


def judge(run: dict[str, Any]) -> list[Verdict]:
    """The verdicts on what run.json holds. What is absent is not judged."""
    return [*judge_rows(run), *judge_lineage(run), *judge_models(run), *judge_drift(run)]


def judge_rows(run: dict[str, Any]) -> Iterator[Verdict]:
    ledger = run.get("ledger")
    if not ledger:
        return
    sums = f"{ledger['read']:,} rows read, {ledger['published']:,} published and {ledger['refused']:,} refused"
    yield say(ledger["balances"], f"The ledger {'balances' if ledger['balances'] else 'does not balance'}: {sums}.")
    limit = run["parameters"].get("MAX_QUARANTINE_SHARE")
    if limit is not None and ledger["read"]:
        share = ledger["refused"] / ledger["read"]
        yield say(share <= limit, f"{share:.2%} of the rows were refused; {limit:.2%} are allowed.")


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
        champion, models = metrics["champion"], metrics["models"]
        naive = models["naive"]["mae"]
        skill = 1 - models[champion]["mae"] / naive if naive else 0.0
        better = f"{abs(skill):.2%} {'better' if skill > 0 else 'worse'} than naive"
        verdict = "is the naive answer itself: no model beat it" if champion == "naive" else f"is {better}"
        yield say(skill > 0, f"{name}: the champion, {champion}, {verdict} on the test days.")
        held = metrics["coverage"]
        yield say(held >= LEAST_HELD, f"{name}: {held:.1%} of the test days lie in their {INTERVAL:.0%} interval.")


def judge_drift(run: dict[str, Any]) -> Iterator[Verdict]:
    if run.get("drift"):
        shifted = any(row["shift"] != "none" for row in run["drift"]["measures"])
        yield say(not shifted, f"Drift: {tell_drift(run['drift'])}.")


def say(kept: bool, what: str) -> Verdict:
    return {"kept": bool(kept), "what": what}
