"""Examples of refused rows: what a person needs to see to know what is wrong with a delivery."""

from typing import TypedDict

import pyarrow.compute as pc

from pipeline.datasets.contract import REASONS
from pipeline.datasets.places import open_dataset
from pipeline.datasets.store import Version
from pipeline.reports.scrubbing import scrub

LONGEST = 160  # characters of a refused line that are shown
SHARES = {1: (3,), 2: (2, 1)}  # examples of each reason, the most frequent one first; else one of each


class Example(TypedDict):
    """A refused line of a file; line is None where the whole file was refused."""

    file: str
    line: int | None
    text: str
    reason: str


def pick_examples(quarantine: Version, reasons: list[str]) -> list[Example]:
    """Three refused rows, or as many as there are, of the first of these reasons (keys of contract.REASONS).

    Reads no more of the dataset than it takes to find them: it may be as large as what was delivered.
    """
    if not reasons:
        return []
    parts = open_dataset(quarantine.files)
    columns = ["file", "line", "text", "reason"]
    examples: list[Example] = []
    for reason, count in zip(reasons, SHARES.get(len(reasons), (1, 1, 1)), strict=False):
        found = parts.head(count, columns=columns, filter=pc.field("reason") == reason, batch_size=1_000)
        examples += [shorten(row) for row in found.to_pylist()]
    return examples


def shorten(row: Example) -> Example:
    """The row for a person. Secrets go first: of one that the cut goes through nobody would find the rest."""
    text = scrub(row["text"])
    cut = f"{text[:LONGEST]}... ({len(text):,} characters)" if len(text) > LONGEST else text
    reason = REASONS.get(row["reason"], row["reason"])
    return {"file": row["file"], "line": row["line"], "text": cut, "reason": reason}
