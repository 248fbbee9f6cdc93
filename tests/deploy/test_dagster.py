"""The assets in a real Dagster, from their graph to the last one materialized."""

import json
from pathlib import Path

import pytest
import yaml

from pipeline.datasets.run_folder import RunFolder
from pipeline.stages import STAGES

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
DEFINITIONS = ROOT / "deploy" / "dagster" / "definitions.py"

GRAPH = """
import json, definitions
print(json.dumps({
    asset.key.to_user_string(): sorted(key.to_user_string() for key in asset.asset_deps[asset.key])
    for asset in definitions.market.assets
}))
"""


@pytest.fixture
def dagster(make_environment, run, tmp_path, ready_spark):
    """Call a program of Dagster's environment, for the demo in a run folder of the test's own, on the Spark Connect
    server of the tests; that of Airflow's test is each notebook's own.
    """
    programs = make_environment("dagster")
    demo = yaml.safe_load((ROOT / "params" / "demo.yaml").read_text())
    parameters = tmp_path / "params.yaml"
    few = {"MODELS": "naive,linear,grid", "NEXT_DAY": False}  # what is tried are the assets, not the training
    parameters.write_text(yaml.safe_dump(demo | few | {"RUN_DIR": str(tmp_path / "run"), "TUNNEL": "none"}))
    home = tmp_path / "dagster"
    home.mkdir()

    def call(program: str, *arguments) -> str:
        path = f"{ROOT}:{DEFINITIONS.parent}"
        settings = {"DAGSTER_HOME": str(home), "MARKET_PARAMS": str(parameters), "PYTHONPATH": path, **ready_spark}
        done = run(programs / program, *arguments, **settings)
        assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
        return done.stdout

    return call


def test_the_graph_is_that_of_the_datasets(dagster):
    graph = json.loads(dagster("python", "-c", GRAPH).splitlines()[-1])
    assert graph == {"prices": [], "features": ["prices"], "model": ["features", "prices"], "serve": ["model"]}


SCHEDULE = """
import json, definitions
from datetime import UTC, datetime
from dagster._utils.schedules import schedule_execution_time_iterator

evening = definitions.market.get_repository_def().get_schedule_def("evening")
begin = datetime(2026, 3, 5, 12, tzinfo=UTC).timestamp()  # before New York changes its clocks
times = schedule_execution_time_iterator(begin, evening.cron_schedule, evening.execution_timezone)
print(json.dumps([next(times).astimezone(UTC).isoformat() for _ in range(3)]))
"""


def test_evenings_come_after_new_yorks_close(dagster):
    times = json.loads(dagster("python", "-c", SCHEDULE).splitlines()[-1])
    assert times == ["2026-03-06T01:15:00+00:00", "2026-03-07T01:15:00+00:00", "2026-03-10T00:15:00+00:00"]


def test_the_demo_is_materialized_to_the_end(dagster, tmp_path):
    dagster("dagster", "asset", "materialize", "-f", DEFINITIONS, "-d", ROOT, "--select", "*")
    assert RunFolder(tmp_path / "run").current("features").rows == 22_216
    assert RunFolder(tmp_path / "run").current("model").manifest["inputs"]
    executed = {path.stem for path in (tmp_path / "run" / "dagster").glob("*.ipynb")}
    assert executed == {next(iter(stage.writes), stage.name) for stage in STAGES}
