"""The four notebooks as two Airflow DAGs: a task a notebook, in the order of the datasets that they hand on.

`market` runs when somebody triggers it, with the values of params/demo.yaml as the defaults of its form; `market_daily`
each evening after New York's close, with those of params/daily.yaml. An evening that was missed is not made up for: the
next one brings all days. Airflow and the notebooks' kernels share one environment, deploy/airflow/requirements.txt, to
which the second DAG adds pipeline/update/requirements.txt, and find the project by PYTHONPATH.
"""

from datetime import UTC, datetime
from pathlib import Path

from airflow.providers.papermill.operators.papermill import PapermillOperator
from airflow.sdk import DAG, CronTriggerTimetable, Param

from pipeline.parameters import PARAMETERS
from pipeline.runs.plan import Plan, make_plan

PARAMS = Path(__file__).resolve().parents[2] / "params"
# A quarter of an hour after a session is final, which it is four hours after its close.
EVENING = CronTriggerTimetable("15 20 * * 1-5", timezone="America/New_York")
# The executed notebooks of one run. A run that a person triggers has no logical date; each has a time to run after.
FOLDER = "{{ params.RUN_DIR }}/airflow/{{ dag_run.run_after | ts_nodash }}"


def describe(plan: Plan, name: str) -> Param:
    """A parameter as Airflow's form asks for it."""
    parameter = PARAMETERS[name]
    kind = {str: "string", int: "integer", float: "number", bool: "boolean"}[parameter.kind]
    limits = {"minimum": parameter.at_least, "maximum": parameter.at_most}
    if parameter.choices and not parameter.listed:
        limits["enum"] = list(parameter.choices)
    known = {key: limit for key, limit in limits.items() if limit is not None}
    return Param(plan[name], description=parameter.help, type=kind, **known)


def make_folder(context) -> None:
    """papermill writes into folders that are there."""
    Path(context["task"].output_nb).parent.mkdir(parents=True, exist_ok=True)


def make_dag(name: str, plan: Plan, about: str, schedule: CronTriggerTimetable | None) -> DAG:
    with DAG(
        name,
        description=about,
        schedule=schedule,
        start_date=datetime(2026, 1, 1, tzinfo=UTC),
        catchup=False,
        max_active_runs=1,
        params={name: describe(plan, name) for step in plan.steps for name in step.parameters},
        render_template_as_native_obj=True,  # a number stays a number
    ) as dag:
        tasks = {
            step.stage: PapermillOperator(
                task_id=step.stage.name,
                input_nb=str(step.notebook),
                output_nb=f"{FOLDER}/{step.stage.notebook}",
                parameters={name: f"{{{{ params.{name} }}}}" for name in step.parameters},
                kernel_name="python3",
                pre_execute=make_folder,
            )
            for step in plan.steps
        }
        for stage, task in tasks.items():
            task << [earlier for other, earlier in tasks.items() if set(other.writes) & set(stage.reads)]
    return dag


market = make_dag("market", make_plan(PARAMS / "demo.yaml"), "The four notebooks, on the demo's prices.", None)
daily = make_dag("market_daily", make_plan(PARAMS / "daily.yaml"), "The evening run of a folder kept current.", EVENING)
