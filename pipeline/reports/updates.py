"""How the prices of a run were brought up to date: what the ingest notes of it, and what the report tells."""

from html import escape
from typing import Any

import pandas as pd

from pipeline.datasets.run_folder import RunFolder
from pipeline.datasets.store import Version
from pipeline.errors import InputError
from pipeline.reports.markup import note, table
from pipeline.reports.skill import tell_count
from pipeline.reports.times import tell_time

RECORD = "updates.json"
MOST_LINES = 20
COLUMNS = ("symbol", "state", "through", "rows", "added", "note")


def note_update(
    run: RunFolder, prices: Version, outcomes: pd.DataFrame, notable: pd.DataFrame, revisions: pd.DataFrame, asked: str
) -> None:
    """Keep for the report what an update left beside the prices.

    outcomes, notable: see update.outcomes; revisions: see ingest.revisions.find_revisions. asked: when the last symbol
    was asked for, "" where nobody knows.
    """
    listed = revisions.head(MOST_LINES).astype({"Date": str}).to_dict("records")
    record = {
        "prices": prices.id,
        "asked": asked,
        "outcomes": outcomes.to_dict("records"),
        "notable": notable[list(COLUMNS)].to_dict("records"),
        "revised": {"rows": len(revisions), "symbols": int(revisions["Symbol"].nunique()), "listed": listed},
    }
    run.write_record(RECORD, record)


def read_update(run: RunFolder, prices: Version) -> dict[str, Any] | None:
    """What was noted of the update behind a version of `prices`; None if nothing was. Raises InputError for damage."""
    record = run.read_record(RECORD)
    if record is None or record.get("prices") != prices.id:
        return None
    if not {"outcomes", "notable", "revised"} <= record.keys():
        raise InputError(f"{run.path / RECORD} is no record of an update: remove it and run again.")
    return record


def updates_table(run: dict[str, Any]) -> str:
    """Outcomes, symbols worth a look, and rows that were changed since the run before."""
    record = run.get("update")
    if not record:
        return ""
    counts = [
        [escape(one["outcome"]), f"{one['symbols']:,}", f"{one['added']:,}", escape(one["meaning"])]
        for one in record["outcomes"]
    ]
    asked = record.get("asked")  # older records have none
    when = note(f"What came when Yahoo was asked last, on {escape(tell_time(asked))}:") if asked else ""
    parts = [when, table(["outcome", "#symbols", "#rows added", "meaning"], counts)]
    if record["notable"]:
        rows = [
            [tell(one["symbol"]), tell_state(one), tell(one["added"]), tell(one["note"])] for one in record["notable"]
        ]
        parts.append(table(["symbol", "outcome", "#rows added", "why"], rows))
    return "".join([*parts, revised_table(record["revised"])])


def revised_table(revised: dict[str, Any]) -> str:
    """Rows whose prices or Volume were changed at their source since the run before."""
    if not revised["rows"]:
        return note("Of the last three weeks, no row that an earlier run read has changed at its source.")
    changed = f"{tell_count(revised['rows'], 'row')} of {tell_count(revised['symbols'], 'symbol')}"
    verb = "was" if revised["rows"] == 1 else "were"
    more = ", the greatest changes first" if revised["rows"] > len(revised["listed"]) else ""
    rows = [
        [tell(one["Symbol"]), tell(one["Date"]), *(tell_row(one, when) for when in (" before", ""))]
        for one in revised["listed"]
    ]
    headings = ["symbol", "day", "#Volume and Close then", "#now"]
    return note(f"{changed} {verb} changed at the source since the run before{more}.") + table(headings, rows)


def tell_state(entry: dict[str, Any]) -> str:
    return tell(f"{entry['state']}, through {entry['through']}" if entry["through"] else entry["state"])


def tell_row(row: dict[str, Any], when: str) -> str:
    return f"{tell(row[f'Volume{when}'])} at {tell(row[f'Close{when}'])}"


def tell(value: object) -> str:
    """A value of a record as a cell."""
    return (
        f"{value:,}" if isinstance(value, int) else f"{value:,.6g}" if isinstance(value, float) else escape(str(value))
    )
