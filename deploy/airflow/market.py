"""The four notebooks as an Airflow DAG: a task a notebook, in the order of the datasets that they hand on.

Airflow and the notebooks' kernels share one environment, deploy/airflow/requirements.txt, and find the project by
PYTHONPATH. The values in params/demo.yaml are the defaults of the DAG's params.
"""

from pathlib import Path

from airflow.providers.papermill.operators.papermill import PapermillOperator
from airflow.sdk import DAG, Param

from pipeline.parameters import PARAMETERS
from pipeline.runs.plan import make_plan

ROOT = Path(__file__).resolve().parents[2]
PLAN = make_plan(ROOT / "params" / "demo.yaml")
# The executed notebooks of one run. A run that a person triggers has no logical date; each has a time to run after.
FOLDER = "{{ params.RUN_DIR }}/airflow/{{ dag_run.run_after | ts_nodash }}"


def describe(name: str) -> Param:
    """A parameter as Airflow's form asks for it."""
    parameter = PARAMETERS[name]
    kind = {str: "string", int: "integer", float: "number", bool: "boolean"}[parameter.kind]
    limits = {"minimum": parameter.at_least, "maximum": parameter.at_most}
    if parameter.choices and not parameter.listed:
        limits["enum"] = list(parameter.choices)
    known = {key: limit for key, limit in limits.items() if limit is not None}
    return Param(PLAN[name], description=parameter.help, type=kind, **known)


def make_folder(context) -> None:
    """papermill writes into folders that are there."""
    Path(context["task"].output_nb).parent.mkdir(parents=True, exist_ok=True)


with DAG(
    "market",
    description=__doc__.partition("\n")[0],
    schedule=None,
    max_active_runs=1,
    params={name: describe(name) for step in PLAN.steps for name in step.parameters},
    render_template_as_native_obj=True,  # a number stays a number
) as market:
    tasks = {
        step.stage: PapermillOperator(
            task_id=step.stage.name,
            input_nb=str(step.notebook),
            output_nb=f"{FOLDER}/{step.stage.notebook}",
            parameters={name: f"{{{{ params.{name} }}}}" for name in step.parameters},
            kernel_name="python3",
            pre_execute=make_folder,
        )
        for step in PLAN.steps
    }
    for stage, task in tasks.items():
        task << [earlier for other, earlier in tasks.items() if set(other.writes) & set(stage.reads)]
