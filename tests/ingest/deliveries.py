"""Deliveries for tests: written, ingested and read back."""

from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

from pipeline.datasets.run_folder import RunFolder
from pipeline.ingest.delivery import METADATA
from pipeline.ingest.ledger import Ingested
from pipeline.ingest.prices import write_prices
from pipeline.ingest.publish import publish_ingested
from tests.ingest.test_market_csv import HEADER

ROW = b"2020-01-02,10.0,10.5,9.9,10.1,10.1,1000\n"


def make_delivery(folder: Path, files: dict[str, bytes], names: dict[str, str] | None = None) -> Path:
    """A folder in the layout of the Kaggle set. files: path -> bytes below the header."""
    for path, body in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(HEADER + b"\n" + body)
    rows = [{"NASDAQ Symbol": one, "Symbol": "other", "Security Name": name} for one, name in (names or {}).items()]
    columns = ["NASDAQ Symbol", "Symbol", "Security Name"]
    pd.DataFrame(rows, columns=columns).to_csv(folder / METADATA, index=False)
    return folder


def deliver(spark, run_dir: Path, source) -> Ingested:
    prices, symbols, quarantine = (RunFolder(run_dir).open_draft(name) for name in ("prices", "symbols", "quarantine"))
    ingested = write_prices(spark, source, prices, quarantine)
    publish_ingested(ingested, prices, symbols, quarantine, {})
    return ingested


def read(run_dir: Path, dataset: str) -> pd.DataFrame:
    tables = [pq.read_table(path) for path in RunFolder(run_dir).current(dataset).files]
    return pd.concat([table.to_pandas(strings_to_categorical=False) for table in tables], ignore_index=True)


def list_files(version) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(version.path.iterdir())}
