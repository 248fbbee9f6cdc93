"""DuckDB over a URL, by the lines of the README."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from pipeline.datasets.parts import write_attempt
from pipeline.datasets.places import read_table
from pipeline.datasets.run_folder import RunFolder
from tests.environments import install
from tests.sql.small_market import publish_market

ROOT = Path(__file__).parents[2]
PROGRAM = """
import json, sys
import duckdb
from duckdb_extensions import import_extension

for name in ("httpfs", "aws"):
    import_extension(name)  # what INSTALL does where the network is open
for statement in sys.stdin.read().split(";"):
    if statement.strip() and not statement.strip().startswith("INSTALL"):
        answer = duckdb.execute(statement)
print(json.dumps(answer.fetchall()))
"""


@pytest.mark.slow
def test_duckdb_reads_what_is_current_as_the_readme_says(url, variables):
    publish_market(url)
    version = RunFolder(url).current("prices")
    write_attempt(read_table(version.files[0]).slice(1), version.path)  # of a task that was killed
    python = install("duckdb", Path(__file__).with_name("duckdb-requirements.txt")) / "python"
    (lines,) = re.findall(r"```sql\n(.*?)```", (ROOT / "deploy/storage/README.md").read_text(), re.DOTALL)
    endpoint = variables["AWS_ENDPOINT_URL"].removeprefix("http://")
    secret = f"PROVIDER credential_chain, ENDPOINT '{endpoint}', URL_STYLE 'path', USE_SSL false"
    lines = lines.replace("s3://bucket/market", url).replace("PROVIDER credential_chain", secret)
    done = subprocess.run([python, "-c", PROGRAM], input=lines, env=os.environ, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    counted = read_table(version.files, ["Symbol"])["Symbol"].value_counts().to_pylist()
    assert dict(json.loads(done.stdout)) == {row["values"]: row["counts"] for row in counted}
