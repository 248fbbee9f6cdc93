"""The ledger of an ingest: every file came back, and every row of it was published or refused."""

from dataclasses import dataclass

import pandas as pd
import pyarrow as pa

from pipeline.datasets.contract import FLAGS, SYMBOLS
from pipeline.datasets.parts import Written, keep_attempts
from pipeline.datasets.places import Place
from pipeline.errors import QualityError
from pipeline.ingest.delivery import METADATA
from pipeline.ingest.quality import Refused, sum_up_refused
from pipeline.ingest.source import Source, combine_checksums


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


def settle(source: Source, counts: pa.Table, prices_dir: Place, quarantine_dir: Place) -> Ingested:
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
