"""All CSVs of a source to Parquet, by Spark: whole files in balanced parts, parsed and written where the task runs.

A file is a symbol and comes sorted, so nothing needs a shuffle or a sort. A task reads the files of one part, writes
one Parquet file of prices (and one of refused rows, if there are any) into the drafts' folders, and gives only counts
back. A task may run twice: every attempt writes under a name of its own, and only the attempt that Spark reports is
published.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from zlib import crc32

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from pyspark.sql import SparkSession

from pipeline.datasets.contract import FLAGS, PRICES, QUARANTINE, SYMBOLS, flagged
from pipeline.datasets.parts import Written, keep_attempts, write_attempt
from pipeline.datasets.store import Draft, Version
from pipeline.errors import QualityError
from pipeline.ingest.delivery import METADATA, read_files
from pipeline.ingest.market_csv import ParsedCsv, parse_market_csvs
from pipeline.ingest.quality import Refused, sum_up_refused
from pipeline.ingest.source import MarketFile, Source, combine_checksums
from pipeline.spark.progress import Tally, track
from pipeline.spark.tasks import collect

PART_BYTES = 72 * 2**20  # of CSV: what one task holds in memory, and so about 720,000 rows
TOGETHER = 40  # files parsed at once; progress is told after each such group

COUNTS = (  # what a task tells of each file, in Spark's types
    "part int, path string, crc32 bigint, data_rows bigint, rows bigint, refused bigint, "
    "first_date date, last_date date, max_volume bigint, total_volume bigint, flagged bigint, flags array<bigint>, "
    "prices string, quarantine string"
)


@dataclass(frozen=True)
class Part:
    """The files that become one Parquet part."""

    number: int
    files: tuple[MarketFile, ...]


@dataclass(frozen=True)
class Ingested:
    """What was read and written, file by file.

    ledger: a row a file with the columns of contract.SYMBOLS, and a column a flag with its count. prices and
    quarantine: the files that were written. refused: what the latter hold, in short. source_fingerprint: of the bytes
    that were read. warnings: see Source.
    """

    ledger: pd.DataFrame
    prices: list[Written]
    quarantine: list[Written]
    refused: Refused
    source_fingerprint: str
    warnings: tuple[str, ...]

    @property
    def refused_share(self) -> float:
        """Refused rows among all data rows. A file without any data row counts as one refused row."""
        empty = int((self.ledger["data_rows"] == 0).sum())
        return (int(self.ledger["refused"].sum()) + empty) / (int(self.ledger["data_rows"].sum()) + empty)


def plan_parts(files: tuple[MarketFile, ...], part_bytes: int = PART_BYTES) -> list[Part]:
    """Cut the files, in the order of their symbols, into parts of about `part_bytes`. Depends on names and sizes
    alone.
    """
    total = sum(file.size for file in files)
    count = max(1, round(total / part_bytes))
    ends = np.cumsum([file.size for file in files])
    # A file belongs to the part in whose stretch of bytes its middle lies.
    middles = ends - np.array([file.size for file in files]) / 2
    numbers = np.minimum((middles * count / max(1, total)).astype(int), count - 1)
    groups = pd.Series(files, dtype=object).groupby(numbers)
    return [Part(number, tuple(group)) for number, (_, group) in enumerate(groups)]


def write_prices(spark: SparkSession, source: Source, prices: Draft, quarantine: Draft) -> Ingested:
    """Read every file of the source and write `prices` and `quarantine` parts into the drafts' folders.

    Raises QualityError if the ledger does not balance: for each file, data rows = published + refused.
    """
    parts = plan_parts(source.files)
    names = {file.symbol: source.names.get(file.symbol) for file in source.files}
    root, prefix = source.root.resolve(), source.prefix
    prices_dir, quarantine_dir = prices.path.resolve(), quarantine.path.resolve()
    progress = prices_dir.parent / f"{prices_dir.name}-progress"

    def run_parts(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for number in batch["id"].to_pylist():
                tally = Tally(progress, number)
                yield run_part(parts[number], root, prefix, names, prices_dir, quarantine_dir, tally)

    with track("ingest", "files", len(source.files), progress):
        tasks = spark.range(0, len(parts), 1, len(parts))
        counts = collect(tasks.mapInArrow(run_parts, COUNTS))
    return settle(source, counts, prices_dir, quarantine_dir)


def run_part(
    part: Part,
    root: Path,
    prefix: str,
    names: dict[str, str | None],
    prices_dir: Path,
    quarantine_dir: Path,
    tally: Tally,
) -> pa.RecordBatch:
    """One attempt at one part: read, parse, write. Returns the counts of its files."""
    parsed: list[ParsedCsv] = []
    rows: list[dict[str, object]] = []
    files = read_files(root, prefix, [file.path for file in part.files])
    while group := list(islice(files, TOGETHER)):
        markets = parse_market_csvs([data for _, data in group])
        parsed += markets
        for (path, data), market in zip(group, markets, strict=True):
            rows.append({"part": part.number, "path": path, "crc32": crc32(data), **count_rows(market)})
        tally.report(len(rows), sum(market.data_rows for market in parsed))
    written = {
        name: write_attempt(table, folder) if table.num_rows else None
        for name, table, folder in (
            ("prices", join_prices(part.files, names, parsed), prices_dir),
            ("quarantine", join_refused(part.files, parsed), quarantine_dir),
        )
    }
    return pa.RecordBatch.from_pylist([row | written for row in rows], schema=counts_schema())


def count_rows(market: ParsedCsv) -> dict[str, object]:
    """The ledger's entry of one file."""
    table = market.table
    days = table["Date"]
    columns = {name: table[name].to_numpy() for name in ("Open", "High", "Low", "Adj Close", "Volume")}
    return {
        "data_rows": market.data_rows,
        "rows": table.num_rows,
        "refused": market.refused_rows,
        "first_date": days[0].as_py() if table.num_rows else None,
        "last_date": days[-1].as_py() if table.num_rows else None,
        "max_volume": int(columns["Volume"].max()) if table.num_rows else None,
        "total_volume": add_up(columns["Volume"]) if table.num_rows else None,
        "flagged": int(flagged(columns).sum()),
        "flags": [int(flag.test(columns).sum()) for flag in FLAGS.values()],
    }


def add_up(volume: npt.NDArray[np.int64]) -> int:
    """The sum, or the largest number that a bigint holds where that is less."""
    if int(volume.max()) * len(volume) < 2**63:
        return int(volume.sum())
    total: int = sum(volume.tolist())
    return min(total, 2**63 - 1)


def counts_schema() -> pa.Schema:
    """COUNTS in Arrow's types."""
    kinds = {"int": pa.int32(), "string": pa.string(), "bigint": pa.int64(), "date": pa.date32()}
    kinds["array<bigint>"] = pa.list_(pa.int64())
    return pa.schema([(name, kinds[kind]) for name, kind in (field.split() for field in COUNTS.split(", "))])


def join_prices(files: tuple[MarketFile, ...], names: dict[str, str | None], parsed: list[ParsedCsv]) -> pa.Table:
    """The rows of all files of a part in the schema PRICES, in the files' order."""
    repeats = [market.table.num_rows for market in parsed]
    index = np.repeat(np.arange(len(files), dtype=np.int32), repeats)
    symbols = [file.symbol for file in files]
    labels = [names[symbol] for symbol in symbols]
    known = {label: code for code, label in enumerate(dict.fromkeys(label for label in labels if label is not None))}
    codes = pa.array([None if label is None else known[label] for label in labels], pa.int32())
    rows = pa.concat_tables([market.table for market in parsed]).combine_chunks()
    columns = [
        pa.DictionaryArray.from_arrays(pa.array(index), pa.array(symbols, pa.string())),
        pa.DictionaryArray.from_arrays(codes.take(pa.array(index)), pa.array(list(known), pa.string())),
        *rows.columns,
    ]
    return pa.table(columns, schema=PRICES)


def join_refused(files: tuple[MarketFile, ...], parsed: list[ParsedCsv]) -> pa.Table:
    """The refused rows of all files of a part in the schema QUARANTINE."""
    tables = [
        market.refused.add_column(0, QUARANTINE.field("file"), pa.repeat(file.path, market.refused.num_rows))
        for file, market in zip(files, parsed, strict=True)
        if market.refused.num_rows
    ]
    return pa.concat_tables([QUARANTINE.empty_table(), *tables])


def settle(source: Source, counts: pa.Table, prices_dir: Path, quarantine_dir: Path) -> Ingested:
    """Check that every file came back and every row is accounted for; keep the files of the attempts that count."""
    whole = {pa.int32(): pd.Int32Dtype(), pa.int64(): pd.Int64Dtype()}
    frame = counts.to_pandas(types_mapper=whole.get).set_index("path").reindex([file.path for file in source.files])
    if len(counts) != len(source.files) or frame["part"].isna().any():
        raise QualityError(f"{len(source.files)} files were planned, {len(counts)} came back: nothing is published.")
    ledger = build_ledger(source, frame)
    unbalanced = ledger[ledger["data_rows"] != ledger["rows"] + ledger["refused"]]
    if len(unbalanced):
        raise QualityError(
            f"{unbalanced['file'].iloc[0]}: data rows are not published + refused rows. Nothing is published."
        )
    written = frame.groupby("part").first()
    checksums = {**dict(zip(frame.index, frame["crc32"], strict=True)), METADATA: source.metadata_checksum}
    published, refused = (
        keep_attempts(prices_dir, written["prices"]),
        keep_attempts(quarantine_dir, written["quarantine"]),
    )
    if sum(part.rows for part in published) != ledger["rows"].sum():
        raise QualityError("The files of `prices` hold another number of rows than the ledger. Nothing is published.")
    summary = sum_up_refused(quarantine_dir / part.name for part in refused)
    return Ingested(ledger, published, refused, summary, combine_checksums(checksums), source.warnings)


def build_ledger(source: Source, counts: pd.DataFrame) -> pd.DataFrame:
    """The counts with the files' symbols, kinds and names: the columns of SYMBOLS, then one a flag."""
    ledger = counts.drop(columns=["part", "crc32", "flags", "prices", "quarantine"]).rename_axis("file").reset_index()
    ledger["Symbol"] = [file.symbol for file in source.files]
    ledger["kind"] = [file.kind for file in source.files]
    ledger["Security Name"] = [source.names.get(file.symbol) for file in source.files]
    flags = pd.DataFrame(counts["flags"].to_list(), columns=list(FLAGS))
    whole: pd.DataFrame = pd.concat([ledger[SYMBOLS.names], flags], axis=1)
    return whole


def publish_ingested(
    ingested: Ingested, prices: Draft, symbols: Draft, quarantine: Draft, parameters: Mapping[str, object]
) -> dict[str, Version]:
    """Publish the three datasets, `prices` last: who sees new prices finds their symbols and their quarantine.

    Raises LockedError if this process has no right to publish.
    """
    ledger = ingested.ledger
    table = pa.Table.from_pandas(ledger[SYMBOLS.names], schema=SYMBOLS, preserve_index=False)
    listing = keep_attempts(symbols.path, [write_attempt(table, symbols.path)])
    # A dataset without rows still has a part, so that every reader finds its schema.
    nothing = QUARANTINE.empty_table()
    refused = ingested.quarantine or keep_attempts(quarantine.path, [write_attempt(nothing, quarantine.path)])
    flags = {"flags": {name: int(ledger[name].sum()) for name in FLAGS}}
    warnings = {"warnings": list(ingested.warnings)}
    inputs = {"source": ingested.source_fingerprint}
    return {
        "quarantine": quarantine.publish(refused, schema=QUARANTINE, parameters=parameters, inputs=inputs),
        "symbols": symbols.publish(listing, schema=SYMBOLS, parameters=parameters, inputs=inputs, extra=warnings),
        "prices": prices.publish(ingested.prices, schema=PRICES, parameters=parameters, inputs=inputs, extra=flags),
    }
