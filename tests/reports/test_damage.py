"""Whatever is damaged in a run folder, the report is written, says what it is, and shows the rest."""

import json
import shutil
from pathlib import Path

import pytest

from pipeline.datasets.run_folder import RunFolder
from pipeline.ingest.source import SAMPLE
from pipeline.reports.drift import find_drift, read_reference
from pipeline.runs.results import RunResult, StageResult
from tests.reports.small_report import make_scores
from tests.reports.test_drift import publish_features

LAST = "20260101T000000000000"


@pytest.fixture(scope="module")
def finished(spark, tmp_path_factory) -> Path:
    """A run folder with every dataset, and the records of a run."""
    home, data = tmp_path_factory.mktemp("finished"), tmp_path_factory.mktemp("data") / "in"
    shutil.copytree(SAMPLE, data)
    with (data / "stocks" / "AAPL.csv").open("a") as file:
        file.write("2019-01-02,,,,,,\n")  # so that there is something in quarantine
    publish_features(spark, home, data)
    run = RunFolder(home)
    draft = run.open_draft("model")
    (draft.path / "metrics.json").write_text(json.dumps(make_scores("grid", naive=100, grid=90)))
    draft.publish(parameters={}, inputs={"features": run.current("features").id})
    (home / "runs" / LAST).mkdir(parents=True)
    record = {"exit_code": 0, "metrics": make_scores("grid", naive=100, grid=180)}
    (home / "runs" / LAST / "run.json").write_text(json.dumps(record))
    read_reference(run)
    return home


@pytest.fixture
def home(finished, tmp_path) -> Path:
    return shutil.copytree(finished, tmp_path / "run")


def write_records(home: Path) -> tuple[dict, str]:
    """What run.json and report.html say of a run that did nothing, a day after the last one."""
    run, folder = RunFolder(home), home / "runs" / "20260102T000000000000"
    folder.mkdir()
    reference = read_reference(run)
    result = RunResult("2026-01-02T00:00:00+00:00", [StageResult("ingest", "cached")], {}, 0, None, folder=folder)
    result.drift = find_drift(run, reference)
    result.write_all(run)
    return json.loads((folder / "run.json").read_text(), parse_constant=refuse), (folder / "report.html").read_text()


def refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON")


def find_doubts(record: dict) -> list[str]:
    return [verdict["what"] for verdict in record["verdicts"] if not verdict["kept"]]


def test_what_is_whole_is_told_without_doubt(home):
    record, report = write_records(home)
    assert find_doubts(record) == []
    assert "The run went well." in report
    assert "10.0% better" in report  # than naive
    assert "50.0% better" in report  # than in the run before


METRICS = {
    "a list": "[]",
    "half a file": '{"same_day": {',
    "nothing": "",
    "a bare NaN": json.dumps(make_scores("grid", naive=100, grid=float("nan"))),
    "beyond all numbers": json.dumps(make_scores("grid", naive=100, grid=90)).replace("90", "1e999"),
    "a champion that is not there": json.dumps(make_scores("xgboost", naive=100)),
    "a task that is text": '{"same_day": "good"}',
    "models that are a list": json.dumps({"same_day": make_scores("grid")["same_day"] | {"models": ["grid"]}}),
    "an error that is text": json.dumps(make_scores("grid", naive=100, grid="90")),
    "no coverage": json.dumps({"same_day": {"champion": "grid", "models": {}}}),
    "depth": "[" * 100_000,
}


@pytest.mark.parametrize("text", METRICS.values(), ids=METRICS.keys())
def test_damaged_scores_are_named_and_not_believed(home, text):
    (RunFolder(home).current("model").path / "metrics.json").write_text(text)
    record, report = write_records(home)
    (doubt,) = find_doubts(record)
    assert "metrics.json" in doubt
    assert "metrics.json" in report
    assert "error of each model" not in report
    assert "The ledger balances" in report


def test_one_damaged_task_does_not_cost_the_other(home):
    scores = make_scores("grid", naive=100, grid=90)["same_day"]
    text = json.dumps({"same_day": scores | {"pinball": float("nan")}, "next_day": scores})
    (RunFolder(home).current("model").path / "metrics.json").write_text(text)
    record, report = write_records(home)
    assert "same_day holds no number at pinball" in find_doubts(record)[0]
    assert "Volume of the next day: error of each model" in report
    assert "Volume of the day: error of each model" not in report


def empty(path: Path) -> None:
    path.write_bytes(b"")


def halve(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize("spoil", [empty, halve, Path.unlink], ids=["empty", "half", "gone"])
@pytest.mark.parametrize("dataset", ["symbols", "quarantine", "features"])
def test_a_damaged_part_is_named(home, dataset, spoil):
    """Each is read for the report: for the ledger, or for drift where nobody noted what the data were like."""
    spoil(RunFolder(home).current(dataset).files[0])
    shutil.rmtree(home / "profiles")
    record, report = write_records(home)
    doubts = find_doubts(record)
    assert doubts
    assert all("--fresh" in doubt for doubt in doubts), doubts
    assert "10.0% better" in report
    assert ("Every row accounted for" in report) == (dataset == "features")


MANIFESTS = [b"[]", b"{", b"\0", b"", b'{"version": "x", "rows": "y", "files": 3, "inputs": []}']


@pytest.mark.parametrize("text", MANIFESTS, ids=["a list", "half", "NUL", "empty", "of other things"])
@pytest.mark.parametrize("dataset", ["prices", "features", "model"])
def test_a_damaged_manifest_is_named(home, dataset, text):
    (RunFolder(home).current(dataset).path / "manifest.json").write_bytes(text)
    record, report = write_records(home)
    assert any(dataset in doubt for doubt in find_doubts(record)), find_doubts(record)
    assert dataset not in record["datasets"]
    assert "Suspicious rows" in report or dataset == "prices"


RECORDS = {
    "a list": "[]",
    "half a file": '{"exit_code": 0',
    "NUL": "\0",
    "another record": '{"exit": 0}',
    "scores that are a list": '{"exit_code": 0, "metrics": []}',
    "scores that are NaN": json.dumps({"exit_code": 0, "metrics": make_scores("grid", naive=1, grid=float("nan"))}),
}


@pytest.mark.parametrize("text", RECORDS.values(), ids=RECORDS.keys())
def test_a_damaged_record_of_an_older_run_is_named(home, text):
    path = home / "runs" / LAST / "run.json"
    path.write_text(text)
    record, report = write_records(home)
    (doubt,) = find_doubts(record)
    assert str(path) in doubt
    assert "against naive" in report
    assert "against the previous run" not in report


PROFILES = ["[]", '{"counts": [], "shares": {}, "last_day": null}', "\0", '"x"', "[" * 100_000]


@pytest.mark.parametrize("text", PROFILES, ids=range(len(PROFILES)))
def test_a_damaged_profile_is_made_again(home, text):
    (profile,) = home.glob("profiles/*")
    profile.write_text(text)
    record, _ = write_records(home)
    assert find_doubts(record) == []
    assert record["drift"]["measures"]


NOTEBOOKS = [
    "[]",
    '{"cells": [',
    "\0",
    '{"cells": 3, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}',
]


@pytest.mark.parametrize("text", NOTEBOOKS, ids=range(len(NOTEBOOKS)))
def test_a_damaged_notebook_costs_its_page_alone(home, text):
    folder = home / "runs" / "20260102T000000000000"
    folder.mkdir()
    (folder / "01_ingest.ipynb").write_text(text)
    result = RunResult("2026-01-02T00:00:00+00:00", [StageResult("ingest", "done")], {}, 0, None, folder=folder)
    result.write_all(RunFolder(home))
    report = (folder / "report.html").read_text()
    assert "01_ingest.ipynb is damaged" in report
    assert "10.0% better" in report
