"""The DAG in a real Airflow, on a database of its own, from an import to the last task of the demo."""

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from pipeline.datasets.run_folder import RunFolder
from pipeline.stages import STAGES

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "airflow"

# A run as a person triggers it in Airflow's page: it has no logical date.
TRIGGER = """
import json, sys
from market import market

run = market.test(logical_date=None, run_conf=json.loads(sys.argv[1]))
sys.exit(f"the run ended as {run.state}" if run.state != "success" else 0)
"""


@pytest.fixture(scope="module")
def airflow(make_environment, run, tmp_path_factory):
    programs = make_environment("airflow")
    settings = {
        "AIRFLOW_HOME": str(tmp_path_factory.mktemp("airflow")),
        "AIRFLOW__CORE__DAGS_FOLDER": str(FOLDER),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "PYTHONPATH": os.pathsep.join(map(str, (ROOT, FOLDER))),
    }

    def call(program, *arguments) -> str:
        done = run(programs / program, *arguments, **settings)
        assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
        return done.stdout

    call("airflow", "db", "migrate")
    return call


def test_the_dag_runs_the_demo_to_the_end(airflow, tmp_path):
    listed = airflow("airflow", "dags", "list-import-errors", "--local", "-o", "json")
    assert json.loads(listed.splitlines()[-1]) == []  # warnings come before it
    run_dir = tmp_path / "run"
    few = {"MODELS": "naive,linear,grid", "NEXT_DAY": False}  # what is tried is the schedule, not the training
    airflow("python", "-c", TRIGGER, json.dumps({"RUN_DIR": str(run_dir), "TUNNEL": "none", **few}))
    assert RunFolder(run_dir).current("features").rows == 22_216
    executed = {path.name for path in run_dir.glob("airflow/*/*.ipynb")}
    assert executed == {stage.notebook for stage in STAGES}


# What the scheduler would make of each DAG now, after weeks without it.
NEXT = """
import json
from datetime import UTC, datetime, timedelta
from airflow.serialization.serialized_objects import DagSerialization
from airflow.timetables.base import DataInterval, TimeRestriction
from market import daily, market

last = DataInterval.exact(datetime.now(UTC) - timedelta(days=40))
found = {}
for dag in (market, daily):
    timetable = DagSerialization.from_dict(DagSerialization.to_dict(dag)).timetable
    allowed = TimeRestriction(earliest=dag.start_date, latest=None, catchup=dag.catchup)
    run = timetable.next_dagrun_info(last_automated_data_interval=last, restriction=allowed)
    found[dag.dag_id] = run and run.run_after.isoformat()
print(json.dumps(found))
"""


def test_an_evening_comes_after_new_yorks_close_and_missed_ones_do_not(airflow):
    told = json.loads(airflow("python", "-c", NEXT).splitlines()[-1])
    assert told["market"] is None
    evening = datetime.fromisoformat(told["market_daily"]).astimezone(ZoneInfo("America/New_York"))
    assert (evening.hour, evening.minute) == (20, 15) and evening.weekday() < 5
    assert datetime.now(UTC) - timedelta(days=4) < evening  # the last one or the next, not one a month ago


def test_a_wrong_value_is_refused_before_any_task(airflow, tmp_path):
    wrong = json.dumps({"RUN_DIR": str(tmp_path), "WINDOW_RULE": "weeks"})
    with pytest.raises(AssertionError, match="WINDOW_RULE"):
        airflow("airflow", "dags", "test", "market", "--conf", wrong)
    assert not (tmp_path / "prices").exists()
