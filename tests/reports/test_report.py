"""The records of a run: what they say, what they do not say, and how long they are kept."""

import html
import json
import re
import shlex
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.datasets.contract import QUARANTINE
from pipeline.datasets.run_folder import RunFolder
from pipeline.ingest.quality import Refused
from pipeline.ingest.source import open_source
from pipeline.reports.facts import gather_facts
from pipeline.reports.refused import LONGEST
from pipeline.reports.report import write_report
from pipeline.reports.scrubbing import scrub_folder
from pipeline.reports.skill import tell_share, tell_skill
from pipeline.reports.verdicts import judge
from pipeline.runs.plan import make_plan
from pipeline.runs.results import prune_runs
from tests.faults.test_run_faults import run_small
from tests.ingest.deliveries import ROW, deliver, make_delivery
from tests.reports.small_report import RUN, make_scores

ROOT = Path(__file__).parents[2]
PLOT = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from pipeline.charts import use_style
import matplotlib.pyplot as plt
use_style()
figure, (left, right) = plt.subplots(1, 2)
left.set(title="Volume & <price>")
right.set(title="by year")
plt.show()
"""


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
    assert '<img alt="Volume &amp; &lt;price&gt;; by year" src="data:image/png;base64,' in report
    page = next(tmp_path.glob("run/runs/*/01_small.html")).read_text()
    assert re.findall(r'<img[^>]* alt="([^"]*)"', page) == ["Volume &amp; &lt;price&gt;; by year"]
    assert 'href="01_small.html"' in report
    assert "http" not in report  # nothing is fetched: it opens offline


@pytest.mark.slow
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


def test_a_damaged_dataset_costs_its_section_and_nothing_else(tmp_path):
    for dataset in ("prices", "symbols", "quarantine"):
        draft = RunFolder(tmp_path / "run").open_draft(dataset)
        (draft.path / "part-00000.parquet").touch()  # as after the loss of power
        draft.publish(parameters={}, inputs={})
    tell = "import os\nprint(os.environ['NGROK_AUTHTOKEN'])"
    assert run_small(tmp_path, tell, NGROK_AUTHTOKEN="tokenzebra")["exit_code"] == 0
    (notebook,) = tmp_path.glob("run/runs/*/01_small.ipynb")
    assert "zebra" not in notebook.read_text()
    (report,) = tmp_path.glob("run/runs/*/report.html")
    assert "The ledger cannot be read" in report.read_text()
    assert "The run went well." not in report.read_text()


def test_the_ledger_is_told(spark, tmp_path):
    bad = ROW + b"2020-01-03,,,,,,\n" + b"2020-01-06,0,10.5,9.9,10.1,10.1,1000\n"
    source = make_delivery(tmp_path / "in", {"stocks/A.csv": bad, "stocks/B.csv": ROW}, {"A": "Known"})
    deliver(spark, tmp_path / "run", open_source("folder", str(source)))
    run = RUN | gather_facts(RunFolder(tmp_path / "run")) | {"parameters": {"MAX_QUARANTINE_SHARE": 0.05}}
    run["verdicts"] = judge(run)
    assert {verdict["what"]: verdict["kept"] for verdict in run["verdicts"]} == {
        "The ledger balances: 4 rows read, 3 published and 1 refused.": True,
        "Rows that were refused: 25.00%; 5.00% are allowed.": False,
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


def test_refused_rows_are_shown_with_their_reasons(spark, tmp_path):
    """Three of them: of each of the most frequent reasons one, cut where they are long, as they stand in the file."""
    bad = b"2020-01-03,,,,,,\n2020-01-06,,,,,,\n2020-01-<b>,1,2,3,4,5,6\n" + b"x" * 5_000 + b"\n"
    files = {"stocks/A.csv": ROW + bad, "etfs/B.csv": ROW, "stocks/<i>.csv": b""}
    source = make_delivery(tmp_path / "in", files)
    deliver(spark, tmp_path / "run", open_source("folder", str(source)))
    run = RUN | gather_facts(RunFolder(tmp_path / "run"))
    examples = run["ledger"]["examples"]
    assert [(one["file"], one["line"]) for one in examples] == [("stocks/A.csv", line) for line in (3, 5, 6)]
    report = write_report(run, None, tmp_path).read_text()
    for words in ("2020-01-03,,,,,,", "x" * 100, "seven fields is empty", "&lt;b&gt;"):
        assert words in report, words
    assert "<b>,1" not in report
    assert "x" * 500 not in report


def test_a_secret_in_the_data_is_gone_though_its_line_is_cut_or_quoted(spark, tmp_path, monkeypatch):
    secret, several_lines = "it's-a_zebra-" * 3, "zebra (a); zebra\nzebra"
    monkeypatch.setenv("SOME_TOKEN", secret)
    monkeypatch.setenv("OTHER_TOKEN", several_lines)
    bad = b"x" * (LONGEST - 20) + secret.encode() + b"\n"
    deliver(spark, tmp_path / "run", open_source("folder", str(make_delivery(tmp_path / "in", {"stocks/A.csv": bad}))))
    parameters = {"DATA_DIR": f"/a/{secret}"}
    run = (
        RUN | gather_facts(RunFolder(tmp_path / "run")) | {"parameters": parameters, "error": f"first\n{several_lines}"}
    )
    assert "zebra" not in json.dumps(run["ledger"])
    write_report(run, None, tmp_path)
    scrub_folder(tmp_path)
    assert "zebra" not in (tmp_path / "report.html").read_text()


def test_a_refused_delivery_is_told_line_by_line(tmp_path):
    counts = pd.DataFrame({"rows": [2, 1], "files": [1, 1]}, index=["blank", "fields"])
    rows = [
        ("stocks/A.csv", 3, "2020-01-03,,,,,,", "blank", 1),
        ("stocks/B.csv", 4, "<b>; for example 1. 2", "fields", 1),
        ("stocks/C.csv", None, "", "empty file", 0),
    ]
    refused = Refused(counts, pd.DataFrame(rows, columns=QUARANTINE.names, dtype=object)).describe()
    error = f"01_ingest.ipynb, cell [14]: 50.0% refused: {refused}. Nothing was published; mend the files."
    report = write_report(RUN | {"exit_code": 4, "error": error}, None, tmp_path).read_text()
    assert "exit code 4" in report
    (examples,) = re.findall(r'<ul class="examples">(.*?)</ul>', report)
    assert [html.unescape(item) for item in re.findall("<li>(.*?)</li>", examples)] == [
        "stocks/A.csv line 3: '2020-01-03,,,,,,' (blank)",
        "stocks/B.csv line 4: '<b>; for example 1. 2' (fields)",
        "stocks/C.csv: '' (empty file)",
        "Nothing was published; mend the files.",
    ]
    report = write_report(RUN | {"exit_code": 3, "error": "one\ntwo <b>\n\nthree"}, None, tmp_path).read_text()
    assert '<p class="bad">one</p><ul class="examples"><li>two &lt;b&gt;</li><li>three</li></ul>' in report


def test_parameters_can_be_pasted_back(tmp_path):
    """Each line of the report after `-p` gives the value that the run had."""
    odd = {"DATA_DIR": "/a folder/it's $HOME", "NEXT_DAY": "false", "NEXT_DAY_ROWS": "1000000", "MODELS": "naive, grid"}
    plan = make_plan(ROOT / "params" / "demo.yaml", list(odd.items()))
    report = write_report(RUN | {"parameters": dict(plan.parameters)}, None, tmp_path).read_text()
    shown = dict(re.findall(r"<td>([A-Z_]+)</td><td><code>(.*?)</code>", report))
    assert shown["NEXT_DAY_ROWS"] == "1000000"
    given = [tuple(shlex.split(f"{name} {html.unescape(value)}")) for name, value in shown.items()]
    again = make_plan(ROOT / "params" / "demo.yaml", given)
    assert again.parameters == plan.parameters


def test_the_heading_says_which_run_and_when(tmp_path):
    report = write_report(RUN | {"parameters": {"RUN_DIR": "/a/<demo>"}, "seconds": 125.3}, None, tmp_path).read_text()
    assert "<h1>&lt;demo&gt;: run of 25 November 2026, 12:49 UTC</h1>" in report
    assert "2 min 5 s" in report


def test_a_run_with_a_doubt_is_not_said_to_be_well(tmp_path):
    verdicts = [{"kept": True, "what": "fine"}, {"kept": False, "what": "not fine"}]
    report = write_report(RUN | {"verdicts": verdicts}, None, tmp_path).read_text()
    assert "went well" not in report
    assert "Look at 1 of its 2 checks" in report


def test_models_are_compared_with_naive_and_with_the_run_before(tmp_path):
    before = RUN | {"metrics": make_scores("grid", naive=100, grid=80)}
    now = RUN | {"metrics": make_scores("grid", naive=100, grid=90, linear=100.04, other=105.26)}
    report = write_report(now, before, tmp_path).read_text()
    assert "<b>grid</b>, the champion" in report
    rows = {name: re.sub("<[^>]*>", " ", rest).split() for name, rest in read_rows(report, "models")}
    assert rows["grid, the champion"] == ["90", "10.0%", "better", "12.5%", "worse"]
    assert rows["linear"] == ["100", "equal", "new"]
    assert rows["other"] == ["105", "5.3%", "worse", "new"]
    assert rows["naive"] == ["100", "the", "baseline", "equal"]


def read_rows(report: str, kind: str) -> list[tuple[str, str]]:
    """The rows of a table: the text of the first cell, and the markup of the others."""
    (table,) = re.findall(f'<table class="{kind}">(.*?)</table>', report)
    rows = re.findall("<tr><td>(.*?)</td>(.*?)</tr>", table)
    return [(re.sub("<[^>]*>", "", name), rest) for name, rest in rows]


def test_a_first_run_has_no_empty_column(tmp_path):
    report = write_report(RUN | {"metrics": make_scores("grid", naive=100, grid=80)}, None, tmp_path).read_text()
    assert "previous run" not in report
    assert not re.search(r"<th[^>]*>\s*</th>", report)


@pytest.mark.parametrize(
    ("skill", "told"),
    [
        (0.052, "5.2% better"),
        (-0.052, "5.2% worse"),
        (0.00099, "equal"),
        (-0.00099, "equal"),
        (0.0, "equal"),
        (-0.0, "equal"),
        (0.001, "0.1% better"),
        (-3.5, "350.0% worse"),
    ],
)
def test_an_error_is_better_worse_or_equal(skill, told):
    assert tell_skill(skill) == told


@pytest.mark.parametrize(
    ("share", "told"), [(0, "0%"), (0.00001, "under 0.01%"), (0.0001, "0.01%"), (0.25, "25.00%"), (1, "100.00%")]
)
def test_a_few_of_many_are_not_told_as_nothing(share, told):
    assert tell_share(share) == told


@pytest.mark.parametrize(
    ("facts", "kept"),
    [
        ({"metrics": make_scores("grid", naive=100, grid=90)}, [True, True]),
        ({"metrics": make_scores("grid", naive=100, grid=110)}, [False, True]),
        ({"metrics": make_scores("naive", naive=100)}, [False, True]),
        ({"metrics": make_scores("grid", naive=100, grid=99.95)}, [False, True]),
        ({"metrics": make_scores("grid", grid=99)}, [True]),
        ({"drift": {"model": "m", "measures": [], "damage": "The current data cannot be read."}}, [False]),
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
    ids=[
        "all well",
        "worse than naive",
        "naive",
        "equal to naive",
        "no naive",
        "no drift to tell",
        "features of older prices",
    ],
)
def test_what_is_doubtful_is_said(facts, kept):
    assert [verdict["kept"] for verdict in judge(RUN | facts)] == kept


def test_half_a_notebook_does_not_cost_the_report(tmp_path):
    (tmp_path / "01_small.ipynb").write_text('{"cells": [')
    assert "01_small.ipynb is damaged" in write_report(RUN, None, tmp_path).read_text()


def test_records_of_what_is_current_are_kept(tmp_path):
    names = [f"20260101T00000000000{number}" for number in range(6)]
    for name in (*names, "notes of mine"):
        (tmp_path / "runs" / name).mkdir(parents=True)
    stage = {"inputs": {}, "parts": {}, "outputs": {}, "source_stamp": None, "run": names[1]}
    (tmp_path / "stages.json").write_text(json.dumps({"ingest": stage}))
    prune_runs(RunFolder(tmp_path), keep=2)
    left = sorted(path.name for path in (tmp_path / "runs").iterdir())
    assert left == [names[1], names[4], names[5], "notes of mine"]
