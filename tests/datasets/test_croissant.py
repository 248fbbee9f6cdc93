"""The descriptions of published datasets, read by their own library: a stranger's loader finds rows and columns."""

import itertools

import mlcroissant
import pyarrow.parquet as pq
import pytest

from pipeline.datasets.croissant import FILE
from pipeline.datasets.run_folder import RunFolder
from pipeline.features.write import write_features
from pipeline.ingest.source import open_source
from tests.ingest.deliveries import deliver


@pytest.fixture(scope="module")
def run(spark, tmp_path_factory):
    """A run folder with the sample's prices and features."""
    run = RunFolder(tmp_path_factory.mktemp("croissant"))
    deliver(spark, run.path, open_source("sample"))
    draft, prices = run.open_draft("features"), run.current("prices")
    parts = write_features(spark, prices, draft, 30, "rows")
    draft.publish(parts, parameters={}, inputs={"prices": prices.id})
    return run


@pytest.mark.parametrize("dataset", ["prices", "features"])
def test_a_stranger_reads_the_rows_by_the_description(run, dataset):
    version = run.current(dataset)
    described = mlcroissant.Dataset(version.path / FILE)  # raises where the description is none
    assert not described.metadata.ctx.issues.errors
    (first,) = itertools.islice(described.records("rows"), 1)
    row = pq.read_table(version.files[0]).slice(0, 1).to_pylist()[0]
    assert first["rows/Symbol"].decode() == row["Symbol"]
    assert first["rows/Volume"] == row["Volume"]
    assert len(first) == len(row)
