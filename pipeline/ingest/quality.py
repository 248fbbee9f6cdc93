"""What was refused of a delivery, in a few lines for the person who has to decide what to do about it."""

from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.datasets.contract import QUARANTINE
from pipeline.datasets.places import Place, read_table

EXAMPLES = 3
LONGEST_EXAMPLE = 80  # characters of a line that an error shows


@dataclass(frozen=True)
class Refused:
    """counts: `rows` and `files` by reason, the most frequent first. examples: rows of QUARANTINE, at most three of a
    reason; the first of each reason in the order of counts, then the second of each, and so on.
    """

    counts: pd.DataFrame
    examples: pd.DataFrame

    @property
    def by_reason(self) -> pd.DataFrame:
        """The counts, and an example of each reason."""
        first = self.examples.drop_duplicates("reason").set_index("reason")
        return self.counts.join(first[["file", "line", "text"]])

    def describe(self) -> str:
        """Counts and three examples in one line."""
        numbers = zip(self.counts.index, self.counts["rows"].tolist(), self.counts["files"].tolist(), strict=True)
        counts = [f"{reason} {count(rows, 'row')} in {count(files, 'file')}" for reason, rows, files in numbers]
        examples = [describe_example(*row) for row in self.examples.head(EXAMPLES).itertuples(index=False, name=None)]
        return f"{', '.join(counts)}; for example {'; '.join(examples)}"


def sum_up_refused(parts: Iterable[Place]) -> Refused:
    """Count the rows of the parts of `quarantine`, and choose examples."""
    counts, examples = [pd.DataFrame({"reason": [], "rows_sum": [], "file_count_distinct": []})], []
    for part in parts:
        table = read_table(part)
        # A file lies in one part, so the parts' numbers of files add up.
        grouped = table.group_by("reason").aggregate([("rows", "sum"), ("file", "count_distinct")])
        counts.append(grouped.to_pandas())
        for reason in grouped["reason"].to_pylist():
            examples.append(table.filter(pc.field("reason") == reason).slice(0, EXAMPLES))
    total = pd.concat(counts).groupby("reason").sum().astype(int).set_axis(["rows", "files"], axis=1)
    total = total.sort_values(["rows", "files"], ascending=False, kind="stable")
    return Refused(total, order_examples(pa.concat_tables([QUARANTINE.empty_table(), *examples]), list(total.index)))


def order_examples(rows: pa.Table, reasons: list[str]) -> pd.DataFrame:
    """The first of each reason in the given order, then the second of each, and so on: three at most."""
    frame: pd.DataFrame = rows.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)
    frame = frame.assign(turn=frame.groupby("reason").cumcount(), rank=frame["reason"].map(reasons.index))
    frame = frame[frame["turn"] < EXAMPLES].sort_values(["turn", "rank"])[QUARANTINE.names]
    return frame.reset_index(drop=True)


def describe_example(file: str, line: int | None, text: str, reason: str, rows: int) -> str:
    place = file if pd.isna(line) else f"{file} line {line}"
    shown = text if len(text) <= LONGEST_EXAMPLE else f"{text[:LONGEST_EXAMPLE]}..."
    return f"{place}: {shown!r} ({reason})"


def count(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"
