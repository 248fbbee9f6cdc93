"""The four notebooks as Dagster assets: each is named for the dataset it publishes and depends on those that it reads.

The schedule `evening` materializes all of them each evening after New York's close, once it is switched on. An evening
that was missed is not made up for: the next one brings all days. It is meant for MARKET_PARAMS=params/daily.yaml.

dagstermill would replace the parameters cell by one of its own, so it gets each notebook with the values of
params/demo.yaml, or of the file that MARKET_PARAMS names, filled in. Dagster and the notebooks' kernels share one
environment, deploy/dagster/requirements.txt, and find the project by PYTHONPATH.
"""

import os
from pathlib import Path

import nbformat
from dagster import AssetsDefinition, Definitions, ScheduleDefinition, define_asset_job
from dagstermill import ConfigurableLocalOutputNotebookIOManager, define_dagstermill_asset
from papermill.translators import PythonTranslator

from pipeline.runs.plan import Step, make_plan
from pipeline.stages import STAGES, Stage

ROOT = Path(__file__).resolve().parents[2]
PLAN = make_plan(Path(os.environ.get("MARKET_PARAMS", ROOT / "params" / "demo.yaml")))
FOLDER = PLAN.run.path / "dagster"  # the notebooks as they are handed over, and as they were executed


def name_asset(stage: Stage) -> str:
    """The first of the datasets that the stage publishes, else its own name."""
    return next(iter(stage.writes), stage.name)


def fill_in(step: Step) -> Path:
    """Write the notebook with its parameters in it. Returns where."""
    notebook = nbformat.read(step.notebook, as_version=4)
    for cell in notebook.cells:
        if "parameters" in cell.metadata.pop("tags", []):
            cell.source = PythonTranslator.codify(dict(step.parameters))
    path = FOLDER / "notebooks" / step.stage.notebook
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)
    return path


def make_asset(step: Step) -> AssetsDefinition:
    reads = set(step.stage.reads)
    return define_dagstermill_asset(
        name=name_asset(step.stage),
        notebook_path=str(fill_in(step)),
        deps=[name_asset(stage) for stage in STAGES if reads & set(stage.writes)],
        description=f"notebooks/{step.stage.notebook}: reads {', '.join(step.stage.reads) or 'CSV files'}; "
        f"publishes {', '.join(step.stage.writes) or 'nothing'}.",
        save_notebook_on_failure=True,
    )


evening = ScheduleDefinition(
    name="evening",
    job=define_asset_job("market", selection="*"),
    cron_schedule="15 20 * * 1-5",  # a session is final four hours after its close
    execution_timezone="America/New_York",
)
market = Definitions(
    assets=[make_asset(step) for step in PLAN.steps],
    schedules=[evening],
    resources={"output_notebook_io_manager": ConfigurableLocalOutputNotebookIOManager(base_dir=str(FOLDER))},
)
