"""The session that all notebooks of a run share."""

import os
import shutil
import subprocess
import sys
import uuid

import pytest

from pipeline.environment import ROOT

# What a notebook does on a session where the one before it has left something.
NOTEBOOK = """
import os, sys
from pipeline.spark.session import join_session, open_spark
from pipeline.spark.settings import CODE

if sys.argv[1] == "none":  # the tests' server knows the code from its own path; another one would not
    join_session(os.environ["SPARK_REMOTE"]).conf.unset(CODE)
spark = open_spark("local[1]")
assert spark.conf.get("spark.market.before", "none") == sys.argv[1], "not the session of the others"
spark.conf.set("spark.market.before", sys.argv[2])
assert spark.range(9).mapInArrow(lambda batches: batches, "id bigint").count() == 9
spark.stop()
"""


@pytest.fixture
def run_notebook(spark, tmp_path):
    """Run NOTEBOOK on a session for this test alone, with a copy of the project."""
    shutil.copytree(ROOT / "pipeline", tmp_path / "pipeline")
    server, _, _ = os.environ["SPARK_REMOTE"].partition(";")
    environment = os.environ | {"SPARK_REMOTE": f"{server};session_id={uuid.uuid4()}", "PYTHONPATH": str(tmp_path)}

    def run(before: str, after: str) -> subprocess.CompletedProcess:
        command = [sys.executable, "-c", NOTEBOOK, before, after]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)

    return run


def test_notebooks_share_a_session_and_its_code(run_notebook, tmp_path):
    """Spark refuses a second file of one name that differs, so the code must not be sent again."""
    first = run_notebook("none", "first")
    assert first.returncode == 0, first.stderr
    (tmp_path / "pipeline" / "compiled.pyc").touch()  # no code, but in what would be sent
    second = run_notebook("first", "second")
    assert second.returncode == 0, second.stderr


def test_a_session_with_older_code_is_not_used(run_notebook, tmp_path):
    run_notebook("none", "first")
    (tmp_path / "pipeline" / "rolling.py").open("a").write("# edited\n")
    assert "ResourceError: The files in pipeline/ have changed" in run_notebook("first", "second").stderr
