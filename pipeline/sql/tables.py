"""What SQL shows of a run folder: a table for each dataset, and the model's scores as one more."""

from dataclasses import dataclass

import pyarrow as pa

from pipeline.datasets.contract import FEATURES, FORECASTS, PRICES, QUARANTINE, SCORES, SYMBOLS
from pipeline.datasets.run_folder import RunFolder
from pipeline.datasets.store import Version

MEASURES = ("mae", "rmse", "r2", "wape", "rmsle", "skill")
METRICS = pa.schema(
    [
        pa.field("kind", pa.string(), nullable=False),  # same_day or next_day
        pa.field("model", pa.string(), nullable=False),
        pa.field("champion", pa.bool_(), nullable=False),  # the one that is served
        *(pa.field(name, pa.float64()) for name in MEASURES),
        pa.field("train_rows", pa.int64()),
        pa.field("test_rows", pa.int64()),
    ]
)

SQL_TYPES = {
    pa.string(): "text",
    pa.date32(): "date",
    pa.float64(): "double precision",
    pa.int64(): "bigint",
    pa.bool_(): "boolean",
    pa.timestamp("us", tz="UTC"): "timestamp with time zone",
}


@dataclass(frozen=True)
class Table:
    """A dataset as SQL shows it: its columns, the key that tells its rows apart, and what else is searched by."""

    name: str
    dataset: str
    schema: pa.Schema
    key: tuple[str, ...] = ()
    index: str | None = None


TABLES = (
    Table("prices", "prices", PRICES, ("Symbol", "Date"), "Date"),
    Table("features", "features", FEATURES, ("Symbol", "Date"), "Date"),
    Table("symbols", "symbols", SYMBOLS, ("Symbol",)),
    Table("quarantine", "quarantine", QUARANTINE, index="file"),
    Table("metrics", "model", METRICS, ("kind", "model")),
    Table("forecasts", "forecasts", FORECASTS, index="symbol"),  # a day may be forecast several times
    Table("scores", "scores", SCORES, ("symbol", "date", "replay"), "date"),
)


def find_published(run: RunFolder) -> dict[Table, Version]:
    """The current version behind each table, where there is one. Raises InputError if there is none at all."""
    current = run.list_current()
    if not current:
        run.current(TABLES[0].dataset)
    return {table: current[table.dataset] for table in TABLES if table.dataset in current}


def quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
