"""Tasks that fail, are killed or run twice, wherever they run: the same bytes, or the old version."""

import os
import signal
import zipfile
from pathlib import Path

import pyarrow as pa
import pytest

from pipeline.datasets.run_folder import RunFolder
from pipeline.errors import QualityError
from pipeline.features.write import write_features
from pipeline.ingest import parts as ingest_parts
from pipeline.ingest import prices as ingest
from pipeline.ingest.ledger import settle
from pipeline.ingest.parts import plan_parts
from pipeline.ingest.source import SAMPLE, open_source
from pipeline.spark.progress import Tally
from tests.ingest.deliveries import deliver, list_files


def test_same_bytes_from_folder_and_zip_in_any_time_zone(spark, tmp_path, monkeypatch):
    monkeypatch.setattr(plan_parts, "__defaults__", (300_000,))
    archive = tmp_path / "archive.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for path in sorted(SAMPLE.rglob("*.csv")):
            file.write(path, path.relative_to(SAMPLE))
    results = []
    for number, (kind, data_dir, zone) in enumerate(
        [
            ("sample", "", "UTC"),
            ("folder", str(archive), "Asia/Tokyo"),
            ("folder", str(SAMPLE), "America/New_York"),
        ]
    ):
        spark.conf.set("spark.sql.session.timeZone", zone)
        run_dir = tmp_path / str(number)
        source = open_source(kind, data_dir)
        ingested = deliver(spark, run_dir, source)
        assert ingested.source_fingerprint == source.content_fingerprint
        prices = RunFolder(run_dir).current("prices")
        draft = RunFolder(run_dir).open_draft("features")
        parts = write_features(spark, prices, draft, 30, "rows")
        features = draft.publish(parts, parameters={}, inputs={"prices": prices.id})
        results.append([list_files(prices), list_files(features), list_files(RunFolder(run_dir).current("symbols"))])
    spark.conf.set("spark.sql.session.timeZone", "UTC")
    assert len(results[0][0]) > 3  # several parts
    assert results[0] == results[1] == results[2]


def test_parts_are_whole_files_in_order_and_balanced():
    source = open_source("sample")
    for part_bytes in (1, 100_000, 500_000, 10**9):
        parts = plan_parts(source.files, part_bytes)
        assert [file for part in parts for file in part.files] == list(source.files)
        assert [part.number for part in parts] == list(range(len(parts)))
    biggest = max(file.size for file in source.files)
    sizes = [sum(file.size for file in part.files) for part in plan_parts(source.files, 500_000)]
    assert max(sizes) <= 500_000 * 1.5 + biggest


def test_row_lost_on_the_way_stops_everything(spark, tmp_path):
    source = open_source("sample")
    prices, quarantine = RunFolder(tmp_path).open_draft("prices"), RunFolder(tmp_path).open_draft("quarantine")
    real = ingest_parts.count_rows

    def lose_one(market):
        return real(market) | {"rows": market.table.num_rows - 1}

    ingest_parts.count_rows = lose_one
    try:
        parts = plan_parts(source.files)
        names = {file.symbol: None for file in source.files}
        tally = Tally(tmp_path, 0)
        counts = [
            ingest_parts.run_part(part, source.root, "", names, prices.path, quarantine.path, tally) for part in parts
        ]
    finally:
        ingest_parts.count_rows = real
    with pytest.raises(QualityError, match=r"Nothing is published"):
        settle(source, pa.Table.from_batches(counts), prices.path, quarantine.path)


def inject(monkeypatch, marker: Path, kill: bool) -> None:
    """Have the first attempt at each part end badly after it has written its file; later ones go through.

    The functions are local so that they travel to Spark's workers by value: those cannot import the tests.
    """
    real = ingest.run_part

    def run_part(part, *rest):
        counts = real(part, *rest)
        try:
            (marker / str(part.number)).touch(exist_ok=False)
        except FileExistsError:
            return counts
        if kill:
            os.kill(os.getpid(), signal.SIGKILL)
        raise OSError("the disk hiccuped after the last row")

    monkeypatch.setattr(ingest, "run_part", run_part)


@pytest.mark.parametrize("kill", [True, False], ids=["worker killed", "failure after the last row"])
def test_second_attempt_of_every_task_leaves_the_same_bytes(spark, tmp_path, monkeypatch, kill):
    monkeypatch.setattr(plan_parts, "__defaults__", (1_000_000,))
    source = open_source("sample")
    deliver(spark, tmp_path / "calm", source)
    (tmp_path / "marker").mkdir()
    inject(monkeypatch, tmp_path / "marker", kill)
    deliver(spark, tmp_path / "stormy", source)
    assert len(list((tmp_path / "marker").iterdir())) > 1
    for dataset in ("prices", "symbols", "quarantine"):
        calm, stormy = (RunFolder(tmp_path / name).current(dataset) for name in ("calm", "stormy"))
        assert list_files(calm) == list_files(stormy)
        assert {path.name for path in stormy.path.parent.iterdir()} == {"CURRENT", stormy.path.name}


def test_task_that_always_fails_leaves_the_old_version(spark, tmp_path, monkeypatch):
    source = open_source("sample")
    deliver(spark, tmp_path, source)
    old = RunFolder(tmp_path).current("prices")

    def run_part(*_):
        raise OSError("the disk hiccuped")

    monkeypatch.setattr(ingest, "run_part", run_part)
    with pytest.raises(Exception, match="hiccuped"):
        deliver(spark, tmp_path, source)
    assert RunFolder(tmp_path).current("prices").path == old.path
