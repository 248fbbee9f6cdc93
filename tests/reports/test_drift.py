"""Drift: data that differ from those of the model before are told, and where; the same data are not."""

import random
import shutil
from pathlib import Path

import pyarrow as pa
import pytest

from pipeline.datasets.contract import FEATURES
from pipeline.datasets.run_folder import RunFolder
from pipeline.features.write import write_features
from pipeline.ingest.source import SAMPLE, open_source
from pipeline.reports.drift import (
    FLAGGED,
    LEVELS,
    REFUSED,
    TARGET,
    find_drift,
    prune_profiles,
    read_reference,
    tell_drift,
)
from tests.faults.kills import FAST
from tests.ingest.deliveries import deliver
from tests.runs.test_run_all import run_all


def publish_features(spark, run_dir: Path, folder: Path) -> None:
    deliver(spark, run_dir, open_source("folder", str(folder)))
    prices, draft = RunFolder(run_dir).current("prices"), RunFolder(run_dir).open_draft("features")
    parts = write_features(spark, prices, draft, 30, "rows")
    draft.publish(parts, schema=FEATURES, parameters={}, inputs={"prices": prices.id})


def publish_model(run_dir: Path) -> str:
    draft = RunFolder(run_dir).open_draft("model")
    (draft.path / "model.json").write_text("{}")
    return draft.publish(parameters={}, inputs={"features": RunFolder(run_dir).current("features").id}).id


def change(folder: Path, edit, until: str = "9999") -> Path:
    """A copy of the sample with each data line of the days `until` one as `edit` returns it, given its fields."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(SAMPLE, folder)
    for path in folder.glob("*/*.csv"):
        header, *lines = path.read_text().splitlines()
        path.write_text(
            "\n".join([header, *(",".join(edit(line.split(","))) for line in lines if line <= until)]) + "\n"
        )
    return folder


def find_shifts(drift: dict) -> dict[str, str]:
    return {row["what"]: row["shift"] for row in drift["measures"]}


def test_drift_is_told_and_where(spark, tmp_path):
    run_dir = tmp_path / "run"
    assert read_reference(RunFolder(run_dir)) is None  # before the first run there is nothing to compare with
    publish_features(spark, run_dir, SAMPLE)
    model = publish_model(run_dir)

    reference = read_reference(RunFolder(run_dir))
    publish_features(spark, run_dir, shutil.copytree(SAMPLE, tmp_path / "copy"))
    drift = find_drift(RunFolder(run_dir), reference)
    assert drift["model"] == model
    assert set(find_shifts(drift).values()) == {"none"}
    assert tell_drift(drift).startswith("no drift since the previous model")

    chance = random.Random(1)

    def spoil(fields: list[str]) -> list[str]:
        if chance.random() < 0.04:
            return [fields[0], *[""] * 6]
        return [*fields[:-1], str(3 * int(fields[-1]))]

    publish_features(spark, run_dir, change(tmp_path / "changed", spoil))
    drift = find_drift(RunFolder(run_dir), reference)
    shifts = find_shifts(drift)
    assert shifts[LEVELS[0]] == "strong"
    assert shifts[REFUSED] == "moderate"
    # Three times the shares are three times their mean: the target is what it was, as are the prices.
    assert shifts[TARGET] == shifts[LEVELS[1]] == shifts[FLAGGED] == "none"
    assert all(word in tell_drift(drift) for word in (LEVELS[0], REFUSED, "strong"))
    assert TARGET not in tell_drift(drift)


@pytest.mark.slow
def test_a_run_on_other_data_says_so(tmp_path, ready_spark):
    def deliver_and_run(edit, *arguments: str) -> tuple[str, str]:
        data = ("-p", "SOURCE", "folder", "-p", "DATA_DIR", change(tmp_path / "in", edit))
        done = run_all("--run-dir", tmp_path / "run", *FAST, *data, *arguments, **ready_spark)
        assert done.returncode == 0, done.stderr
        report = max(tmp_path.glob("run/runs/*/report.html")).read_text()
        return next((line for line in done.stdout.splitlines() if line.startswith(("drift", "no drift"))), ""), report

    line, report = deliver_and_run(lambda fields: fields)
    assert not line  # the first run has nothing to compare with
    assert "Drift" not in report
    line, report = deliver_and_run(lambda fields: [*fields[:-1], str(3 * int(fields[-1]))], "--to", "features")
    assert "vol_moving_avg (strong" in line
    assert "vol_moving_avg (strong" in report
    assert '<span class="bad">strong</span>' in report


def test_a_change_of_the_target_or_of_the_flags_is_told(spark, tmp_path):
    run_dir = tmp_path / "run"
    publish_features(spark, run_dir, SAMPLE)
    publish_model(run_dir)
    reference = read_reference(RunFolder(run_dir))
    chance = random.Random(2)

    def spoil(fields: list[str]) -> list[str]:
        opening = "0" if chance.random() < 0.1 else fields[1]
        return [fields[0], opening, *fields[2:-1], str(int(int(fields[-1]) * chance.uniform(0, 2)))]

    publish_features(spark, run_dir, change(tmp_path / "changed", spoil))
    shifts = find_shifts(find_drift(RunFolder(run_dir), reference))
    assert shifts[TARGET] == "strong"
    assert shifts[FLAGGED] != "none"
    assert shifts[REFUSED] == shifts[LEVELS[1]] == "none"


def test_new_days_are_judged_by_themselves(spark, tmp_path):
    """Their target is compared, where they are enough; a change in them could drown among all days."""
    run = RunFolder(tmp_path)
    publish_features(spark, tmp_path, change(tmp_path / "old", lambda fields: fields, until="2018-06-30"))
    publish_model(tmp_path)
    reference = read_reference(run)
    publish_features(spark, tmp_path, SAMPLE)
    assert "Volume / vol_moving_avg after 2018-06-29" not in find_shifts(find_drift(run, reference))  # too few

    publish_features(spark, tmp_path, change(tmp_path / "old", lambda fields: fields, until="2009-06-30"))
    publish_model(tmp_path)
    reference = read_reference(run)
    publish_features(spark, tmp_path, SAMPLE)
    assert find_shifts(find_drift(run, reference))[f"{TARGET} after 2009-06-29"] == "none"

    def fall_silent(fields: list[str]) -> list[str]:
        return [*fields[:-1], "0" if fields[0] > "2009-06-30" and "5" in fields[0] else fields[-1]]

    publish_features(spark, tmp_path, change(tmp_path / "quiet", fall_silent))
    assert find_shifts(find_drift(run, reference))[f"{TARGET} after 2009-06-29"] == "strong"


def test_features_of_older_prices_are_not_judged(spark, tmp_path):
    publish_features(spark, tmp_path, SAMPLE)
    publish_model(tmp_path)
    reference = read_reference(RunFolder(tmp_path))
    prices = RunFolder(tmp_path).open_draft("prices")
    prices.publish(schema=pa.schema([]), parameters={"changed": 1}, inputs={})
    assert find_drift(RunFolder(tmp_path), reference) is None


def test_a_profile_that_cannot_be_read_is_made_again(spark, tmp_path):
    publish_features(spark, tmp_path, SAMPLE)
    publish_model(tmp_path)
    first = read_reference(RunFolder(tmp_path))
    (path,) = tmp_path.glob("profiles/*")
    for damaged in ("", '{"counts": {}}'):
        path.write_text(damaged)
        assert read_reference(RunFolder(tmp_path)) == first


def test_profiles_go_with_the_models_that_need_them(spark, tmp_path):
    publish_features(spark, tmp_path, SAMPLE)
    publish_model(tmp_path)
    first = read_reference(RunFolder(tmp_path))
    (tmp_path / "profiles" / "forgotten.json").write_text("{}")
    prune_profiles(RunFolder(tmp_path))
    assert [path.stem for path in tmp_path.glob("profiles/*")] == [RunFolder(tmp_path).current("features").id]
    assert read_reference(RunFolder(tmp_path)) == first
