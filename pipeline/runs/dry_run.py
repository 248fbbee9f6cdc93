"""What a run would do, and why."""

from pipeline.runs.display import Display
from pipeline.runs.fingerprint import explain, find_inputs, open_step_source
from pipeline.runs.plan import Plan


def explain_plan(plan: Plan, display: Display, fresh: bool) -> None:
    """Say of each stage whether it would run, and why. Changes nothing."""
    display.say(f"run folder {plan.run}")
    upstream_runs = False
    for step in plan.steps:
        inputs, _ = find_inputs(plan.run, step, open_step_source(step))
        why = explain(plan.run, step, inputs) or ("--fresh" if fresh else None)
        if why is None and upstream_runs:
            why = "if its input changes"
        upstream_runs = upstream_runs or why is not None
        display.say(f"{step.stage.name:<10}{'runs' if why else 'cached':<8}{why or 'nothing changed'}")
        for name, value in step.parameters.items():
            display.say(f"{'':<10}{name} = {value!r}")
