"""The data of a run: where every row went, what looks suspicious, and how far they lie from earlier data."""

from html import escape
from typing import Any

from pipeline.datasets.contract import FLAGS
from pipeline.reports.drift import MODERATE, STRONG, Drift, Measure, tell_drift
from pipeline.reports.markup import break_name, note, table
from pipeline.reports.skill import tell_share


def ledger_table(run: dict[str, Any]) -> str:
    """Rows read, published and refused by reason, and some of the refused ones."""
    ledger = run.get("ledger")
    if not ledger:
        return ""
    rows = [[f"read, in {ledger['files']:,} files", f"{ledger['read']:,}"], ["published", f"{ledger['published']:,}"]]
    rows += [[f"refused: {escape(reason)}", f"{count:,}"] for reason, count in ledger["reasons"].items()]
    days = f"{ledger['nameless']:,} files have no name in the metadata. " if ledger["nameless"] else ""
    days += f"Days from {ledger['first_date']} to {ledger['last_date']}." if ledger["first_date"] else ""
    return table(["rows", "#count"], rows) + examples_table(ledger.get("examples", [])) + (note(days) if days else "")


def examples_table(examples: list[dict[str, Any]]) -> str:
    rows = [
        [
            escape(one["file"]),
            "whole file" if one["line"] is None else f"{one['line']:,}",
            f'<code>{escape(one["text"])}</code> <span class="soft">{escape(one["reason"])}</span>',
        ]
        for one in examples
    ]
    return f"<h3>Some of the refused rows</h3>{table(['file', '#line', 'text and reason'], rows)}" if rows else ""


def flags_table(run: dict[str, Any]) -> str:
    published = run.get("ledger", {}).get("published") or 1
    rows = [
        [escape(FLAGS[name].meaning if name in FLAGS else name), f"{count:,}", tell_share(count / published)]
        for name, count in run.get("flags", {}).items()
    ]
    return table(["rule", "#rows", "#share"], rows) if rows else ""


def drift_table(drift: Drift | None) -> str:
    if not drift:
        return ""
    if not drift["measures"]:
        told = tell_drift(drift)
        return note(escape(told[0].upper() + told[1:]))
    explained = (
        f"Compared with the data of model {escape(drift['model'][:8])}: medians or shares, and the population "
        f"stability index over the deciles of the older data; from {MODERATE} on a shift is moderate, from {STRONG} on "
        "strong."
    )
    rows = [describe_measure(row) for row in drift["measures"]]
    return table(["what", "#then", "#now", "#index", "shift"], rows) + note(explained)


def describe_measure(row: Measure) -> list[str]:
    form = "{:.2%}" if row["what"].startswith("share") else "{:,.0f}" if row["then"] >= 1000 else "{:.3g}"
    kind = "good" if row["shift"] == "none" else "bad"
    shift = f'<span class="{kind}">{escape(row["shift"])}</span>'
    return [break_name(row["what"]), form.format(row["then"]), form.format(row["now"]), f"{row['psi']:.3f}", shift]
