"""A part: some CSVs, whole, that one task reads and one Parquet file takes up."""

from dataclasses import dataclass
from itertools import islice
from zlib import crc32

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from pipeline.datasets.contract import FLAGS, PRICES, QUARANTINE, flagged
from pipeline.datasets.parts import write_attempt
from pipeline.datasets.places import Place
from pipeline.ingest.delivery import read_files
from pipeline.ingest.market_csv import ParsedCsv, parse_market_csvs
from pipeline.ingest.source import MarketFile
from pipeline.spark.progress import Tally

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


def run_part(
    part: Part,
    root: Place,
    prefix: str,
    names: dict[str, str | None],
    prices_dir: Place,
    quarantine_dir: Place,
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
