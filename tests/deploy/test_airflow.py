"""The DAG in a real Airflow, on a database of its own, from an import to the last task of the demo."""

import json
from pathlib import Path

import pytest

from pipeline.stages import STAGES
from pipeline.store import current_version

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "airflow"


@pytest.fixture
def airflow(make_environment, run, tmp_path):
    program = make_environment("airflow") / "airflow"
    settings = {
        "AIRFLOW_HOME": str(tmp_path / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(FOLDER),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    }

    def call(*arguments) -> str:
        done = run(program, *arguments, **settings)
        assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
        return done.stdout

    call("db", "migrate")
    return call


def test_the_dag_runs_the_demo_to_the_end(airflow, tmp_path):
    errors = airflow("dags", "list-import-errors", "--local", "-o", "json").splitlines()[-1]  # warnings come before it
    assert json.loads(errors) == []
    run_dir = tmp_path / "run"
    airflow("dags", "test", "market", "--conf", json.dumps({"RUN_DIR": str(run_dir), "TUNNEL": "none"}))
    assert current_version(run_dir, "features").rows == 22_216
    executed = {path.name for path in run_dir.glob("airflow/*/*.ipynb")}
    assert executed == {stage.notebook for stage in STAGES}


def test_a_wrong_value_is_refused_before_any_task(airflow, tmp_path):
    with pytest.raises(AssertionError, match="WINDOW_RULE"):
        airflow("dags", "test", "market", "--conf", json.dumps({"RUN_DIR": str(tmp_path), "WINDOW_RULE": "weeks"}))
    assert not (tmp_path / "prices").exists()
