"""The session that all notebooks of a run share."""

import os
import shutil
import subprocess
import sys
import uuid

from pipeline.spark import ROOT

# What a notebook does, twice on one session: the second finds what the first left there.
NOTEBOOK = """
import sys
from pipeline.spark import open_spark

spark = open_spark("local[1]")
assert spark.conf.get("spark.market.before", "none") == sys.argv[1], "not the session of the others"
spark.conf.set("spark.market.before", sys.argv[2])
assert spark.range(9).mapInArrow(lambda batches: batches, "id bigint").count() == 9
spark.stop()
"""


def test_a_shared_session_outlives_a_notebook_and_a_change_of_the_code(spark, tmp_path):
    """A second set of the project's files under the name of the first is refused by Spark: it must not be sent."""
    shutil.copytree(ROOT / "pipeline", tmp_path / "pipeline")  # a project that the server cannot know
    server, _, _ = os.environ["SPARK_REMOTE"].partition(";")
    environment = os.environ | {"SPARK_REMOTE": f"{server};session_id={uuid.uuid4()}", "PYTHONPATH": str(tmp_path)}
    for before, after in (("none", "first"), ("first", "second")):
        (tmp_path / "pipeline" / "extra.py").write_text(f"EDITION = {after!r}\n")
        command = [sys.executable, "-c", NOTEBOOK, before, after]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-2000:]
