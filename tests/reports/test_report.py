"""The records of a run: what they say, what they do not say, and how long they are kept."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.datasets.run_folder import RunFolder
from pipeline.ingest.source import open_source
from pipeline.reports.facts import gather_facts
from pipeline.reports.report import write_report
from pipeline.reports.verdicts import judge
from pipeline.runs.results import prune_runs
from tests.faults.test_run_faults import run_small
from tests.ingest.test_prices import ROW, deliver, make_delivery

PLOT = """
import matplotlib.pyplot as plt
plt.plot([1, 2])
plt.show()
"""
STAGE = {"name": "small", "state": "done", "seconds": 1.0, "why": "asked for", "error": None}
RUN = {
    "started": "now",
    "exit_code": 0,
    "error": None,
    "seconds": 1.0,
    "stages": [STAGE | {"peak_bytes": 0, "run": None}],
    "parameters": {},
    "verdicts": [],
}


def metrics(champion: str, **errors: float) -> dict:
    models = {name: {"mae": mae} for name, mae in errors.items()}
    return {"same_day": {"champion": champion, "test_from": "2018-01-01", "coverage": 0.8, "models": models}}


def test_pictures_are_inside_and_secrets_are_nowhere(tmp_path):
    """A token with the characters that HTML and JSON write otherwise, printed by a notebook and named in an error."""
    token = "tok&en<with>\"odd'zebra"
    tell = "import os, sys\nprint(os.environ['NGROK_AUTHTOKEN'])\nprint(os.environ['NGROK_AUTHTOKEN'], file=sys.stderr)"
    fail = "raise ValueError(os.environ['NGROK_AUTHTOKEN'])"
    run = run_small(tmp_path, PLOT, tell, fail, NGROK_AUTHTOKEN=token)
    assert run["exit_code"] == 7
    files = [path for path in tmp_path.glob("run/runs/*/*") if path.is_file()]
    assert {path.suffix for path in files} >= {".ipynb", ".html", ".json", ".log"}
    for path in files:
        assert "zebra" not in path.read_text(), path
    report = next(tmp_path.glob("run/runs/*/report.html")).read_text()
    assert '<img alt="small: ' in report
    assert "data:image/png;base64," in report
    assert 'href="01_small.html"' in report
    assert "http" not in report  # nothing is fetched: it opens offline


def test_what_jupyter_left_beside_a_notebook_is_no_obstacle(tmp_path):
    leave = """
import os
from pathlib import Path
folder = max(Path("run/runs").iterdir()) / ".ipynb_checkpoints"
folder.mkdir()
(folder / "01_small-checkpoint.ipynb").touch()
print(os.environ["NGROK_AUTHTOKEN"])
"""
    for _ in range(2):  # the second run finds what the first one left
        assert run_small(tmp_path, leave, NGROK_AUTHTOKEN="tokenzebra")["exit_code"] == 0
    notebooks = list(tmp_path.glob("run/runs/*/01_small.ipynb"))
    assert len(notebooks) == 2
    assert not any("zebra" in path.read_text() for path in notebooks)


def test_a_damaged_dataset_costs_the_report_and_nothing_else(tmp_path):
    for dataset in ("prices", "symbols", "quarantine"):
        draft = RunFolder(tmp_path / "run").open_draft(dataset)
        (draft.path / "part-00000.parquet").touch()  # as after the loss of power
        draft.publish(parameters={}, inputs={})
    tell = "import os\nprint(os.environ['NGROK_AUTHTOKEN'])"
    assert run_small(tmp_path, tell, NGROK_AUTHTOKEN="tokenzebra")["exit_code"] == 0
    (notebook,) = tmp_path.glob("run/runs/*/01_small.ipynb")
    assert "zebra" not in notebook.read_text()


def test_the_ledger_is_told(spark, tmp_path):
    bad = ROW + b"2020-01-03,,,,,,\n" + b"2020-01-06,0,10.5,9.9,10.1,10.1,1000\n"
    source = make_delivery(tmp_path / "in", {"stocks/A.csv": bad, "stocks/B.csv": ROW}, {"A": "Known"})
    deliver(spark, tmp_path / "run", open_source("folder", str(source)))
    run = RUN | gather_facts(RunFolder(tmp_path / "run")) | {"parameters": {"MAX_QUARANTINE_SHARE": 0.05}}
    run["verdicts"] = judge(run)
    assert {verdict["what"]: verdict["kept"] for verdict in run["verdicts"]} == {
        "The ledger balances: 4 rows read, 3 published and 1 refused.": True,
        "25.00% of the rows were refused; 5.00% are allowed.": False,
    }
    report = write_report(run, None, tmp_path).read_text()
    for words in ("read, in 2 files", "1 files have no name", "seven fields is empty", "Open is zero", "33.33%"):
        assert words in report, words


def test_a_lost_row_is_told_in_numbers_that_do_not_balance(spark, tmp_path):
    deliver(spark, tmp_path, open_source("folder", str(make_delivery(tmp_path / "in", {"stocks/A.csv": ROW}))))
    (part,) = RunFolder(tmp_path).current("symbols").files
    symbols = pq.read_table(part)
    place, field = symbols.schema.get_field_index("data_rows"), symbols.schema.field("data_rows")
    pq.write_table(symbols.set_column(place, field, pa.array([2], field.type)), part)
    (verdict,) = judge(RUN | {"ledger": gather_facts(RunFolder(tmp_path))["ledger"]})
    told = "The ledger does not balance: 2 rows read, 1 published and 0 refused."
    assert verdict == {"what": told, "kept": False}


def test_models_are_compared_with_naive_and_with_the_run_before(tmp_path):
    before = RUN | {"metrics": metrics("grid", naive=100, grid=80)}
    now = RUN | {"metrics": metrics("grid", naive=100, grid=90)}
    report = write_report(now, before, tmp_path).read_text()
    assert "<b>grid</b>, the champion" in report
    assert "-10.0%" in report  # against naive
    assert "+12.5%" in report  # against the run before


@pytest.mark.parametrize(
    ("facts", "kept"),
    [
        ({"metrics": metrics("grid", naive=100, grid=90)}, [True, True]),
        ({"metrics": metrics("grid", naive=100, grid=110)}, [False, True]),
        ({"metrics": metrics("naive", naive=100)}, [False, True]),
        (
            {
                "datasets": {
                    "prices": {"version": "b", "inputs": {}},
                    "features": {"version": "f", "inputs": {"prices": "a"}},
                }
            },
            [False],
        ),
    ],
    ids=["all well", "worse than naive", "naive", "features of older prices"],
)
def test_what_is_doubtful_is_said(facts, kept):
    assert [verdict["kept"] for verdict in judge(RUN | facts)] == kept


def test_half_a_notebook_does_not_cost_the_report(tmp_path):
    (tmp_path / "01_small.ipynb").write_text('{"cells": [')
    assert "The run went well." in write_report(RUN, None, tmp_path).read_text()


def test_records_of_what_is_current_are_kept(tmp_path):
    names = [f"20260101T00000000000{number}" for number in range(6)]
    for name in (*names, "notes of mine"):
        (tmp_path / "runs" / name).mkdir(parents=True)
    stage = {"inputs": {}, "parts": {}, "outputs": {}, "source_stamp": None, "run": names[1]}
    (tmp_path / "stages.json").write_text(json.dumps({"ingest": stage}))
    prune_runs(RunFolder(tmp_path), keep=2)
    left = sorted(path.name for path in (tmp_path / "runs").iterdir())
    assert left == [names[1], names[4], names[5], "notes of mine"]
