"""What was not published of a CSV: where it stands, what it says and why, as Arrow columns.

A bad file may have as many refused rows as it has bytes. Columns hold them in a small multiple of the file's size, and
neighbours that read the same are one row that counts them.
"""

from dataclasses import dataclass

import pyarrow as pa

from pipeline.datasets.contract import QUARANTINE

LONGEST_TEXT = 1_000  # characters of a refused line that are kept
BATCH = 50_000  # refused rows that are held as Python objects, at most

REFUSED = pa.schema([*QUARANTINE][1:])  # what it says of one file


@dataclass
class RefusedLine:
    """A refused line, and how many lines it stands for: those below it may read the same."""

    line: int | None
    text: str
    reason: str
    rows: int


class RefusedLines:
    """Takes the refused lines of a file, in the order of the file, and gives them back as a table."""

    def __init__(self) -> None:
        self.batches: list[pa.RecordBatch] = []
        self.lines: list[RefusedLine] = []

    def add(self, line: int, text: str, reason: str, rows: int = 1) -> None:
        """Take `rows` lines from `line` on that read the same. They join those right above if these do as well."""
        last = self.lines[-1] if self.lines else None
        if last and last.line is not None and (last.line + last.rows, last.text, last.reason) == (line, text, reason):
            last.rows += rows
            return
        if len(self.lines) == BATCH:
            self.batches.append(to_batch(self.lines))
            self.lines.clear()
        self.lines.append(RefusedLine(line, text, reason, rows))

    def to_table(self) -> pa.Table:
        """All of them, schema REFUSED."""
        return pa.Table.from_batches([*self.batches, to_batch(self.lines)], schema=REFUSED)


def refuse_whole(text: str, reason: str, rows: int) -> pa.Table:
    """A file that is refused as a whole, schema REFUSED. rows: the file's data rows."""
    return pa.Table.from_batches([to_batch([RefusedLine(None, text, reason, rows)])])


def to_batch(lines: list[RefusedLine]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([vars(line) for line in lines], schema=REFUSED)


def show(line: bytes) -> str:
    """A line as text that any reader can show: bytes that are not UTF-8, and NUL, as \\xNN. A long one is cut, and
    its length told.
    """
    start = line[: 4 * LONGEST_TEXT]  # a character has four bytes at most
    text = start.decode(errors="backslashreplace").replace("\0", "\\x00")
    if len(start) == len(line) and len(text) <= LONGEST_TEXT:
        return text
    return f"{text[:LONGEST_TEXT]}... ({len(line):,} bytes)"
