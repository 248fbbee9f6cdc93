"""report.html: one self-contained page about a run, for people who want to know whether to believe it."""

from html import escape
from pathlib import Path
from typing import Any

import nbformat

from pipeline.facts import scrub
from pipeline.lineage import draw_lineage

STYLE = """
:root{--ink:#1c2733;--soft:#5b6b7b;--line:#d9e0e7;--good:#12715b;--bad:#b3261e;--bar:#3b6ea8}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);max-width:62rem;margin:2rem auto;padding:0 1rem}
h1{margin:0;font-size:1.6rem} h2{margin:2rem 0 .5rem;font-size:1.15rem;border-bottom:1px solid var(--line)}
table{border-collapse:collapse;width:100%} th{text-align:left;color:var(--soft);font-weight:600}
td,th{padding:.25rem .75rem .25rem 0;border-bottom:1px solid var(--line);vertical-align:top}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}
.verdict{font-weight:700}.good{color:var(--good)}.bad{color:var(--bad)}.soft{color:var(--soft)}
.bar{display:inline-block;height:.7em;background:var(--bar);border-radius:2px}
svg{max-width:100%;height:auto} code{font-size:.9em}
@media print{body{margin:0;max-width:none;font-size:11pt}h2{break-after:avoid}table,svg{break-inside:avoid}}
"""


def write_report(run: dict[str, Any], previous: dict[str, Any] | None, folder: Path) -> Path:
    """Write report.html into the run's folder, and its executed notebooks as HTML beside it.

    run, previous: what run.json holds of this run and of the last one that went well. Every text is escaped: names
    come from the input. Secrets of the environment are taken out.
    """
    pages = render_notebooks(folder)
    sections = [
        title(run),
        section("Stages", stages_table(run["stages"], pages)),
        section("Where everything comes from", draw_lineage(run)),
        section("Every row accounted for", ledger_table(run)),
        section("Suspicious rows, published but kept out of training", count_table(run.get("flags", {}), "rule")),
        *(section(heading, models_table(run, previous, task)) for task, heading in TASKS.items()),
        section("Parameters", count_table(run["parameters"], "parameter")),
        section("Versions", count_table(run.get("versions", {}), "library")),
    ]
    body = "\n".join(filter(None, sections))
    page = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Run {escape(run["started"])}</title>'
    page += f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style><body>{body}</body></html>'
    path = folder / "report.html"
    path.write_text(scrub(page))
    return path


TASKS = {
    "same_day": "Volume of the day: error of each model",
    "next_day": "Volume of the next day: error of each model",
}


def title(run: dict[str, Any]) -> str:
    good = run["exit_code"] == 0
    verdict = "The run went well." if good else f"The run failed with exit code {run['exit_code']}."
    error = f'<p class="bad">{escape(run["error"])}</p>' if run["error"] else ""
    begun = f'<p class="soft">Started {escape(run["started"])}, took {run["seconds"]:,.1f} s.</p>'
    return f'<h1>Run report</h1><p class="verdict {"good" if good else "bad"}">{verdict}</p>{error}{begun}'


def section(heading: str, content: str) -> str:
    return f"<section><h2>{heading}</h2>{content}</section>" if content else ""


def stages_table(stages: list[dict[str, Any]], pages: dict[str, str]) -> str:
    longest = max((stage["seconds"] for stage in stages), default=0) or 1
    rows = []
    for stage in stages:
        page = next((name for stem, name in pages.items() if stem.endswith(stage["name"])), None)
        name = f'<a href="{escape(page)}">{escape(stage["name"])}</a>' if page else escape(stage["name"])
        bar = f'<span class="bar" style="width:{stage["seconds"] / longest * 8:.2f}rem"></span>'
        memory = f"{stage['peak_bytes'] / 2**30:.2f}" if stage["peak_bytes"] else ""
        why = stage["error"] or stage["why"] or ("nothing changed" if stage["state"] == "cached" else "")
        rows.append([name, stage["state"], f"{stage['seconds']:,.1f}", bar, memory, escape(why)])
    return table(["stage", "state", "#seconds", "", "#peak GiB", "why"], rows)


def ledger_table(run: dict[str, Any]) -> str:
    ledger = run.get("ledger")
    if not ledger:
        return ""
    rows = [[f"read, in {ledger['files']:,} files", f"{ledger['read']:,}"], ["published", f"{ledger['published']:,}"]]
    rows += [[f"refused: {escape(reason)}", f"{count:,}"] for reason, count in ledger["reasons"].items()]
    verdict = "The ledger balances." if ledger["balances"] else "THE LEDGER DOES NOT BALANCE."
    return table(["rows", "#count"], rows) + f'<p class="{"good" if ledger["balances"] else "bad"}">{verdict}</p>'


def models_table(run: dict[str, Any], previous: dict[str, Any] | None, task: str) -> str:
    """Mean absolute error of each model, against naive and against the previous run."""
    metrics = run.get("metrics", {}).get(task)
    if not metrics:
        return ""
    before = ((previous or {}).get("metrics", {}).get(task) or {}).get("models", {})
    models = metrics["models"]
    naive = models.get("naive", {}).get("mae")
    largest = max(model["mae"] for model in models.values()) or 1
    rows = []
    for name, model in sorted(models.items(), key=lambda one: one[1]["mae"]):
        label = f"<b>{escape(name)}</b>, the champion" if name == metrics["champion"] else escape(name)
        bar = f'<span class="bar" style="width:{model["mae"] / largest * 8:.2f}rem"></span>'
        rows.append([label, f"{model['mae']:,.0f}", bar, compare(model["mae"], naive)])
        rows[-1].append(compare(model["mae"], before.get(name, {}).get("mae")))
    tested = f'<p class="soft">Tested on days from {escape(metrics["test_from"])} on.</p>'
    return table(["model", "#MAE, shares", "", "#against naive", "#against the previous run"], rows) + tested


def compare(value: float, base: float | None) -> str:
    return f"{(value / base - 1) * 100:+.1f}%" if base else ""


def count_table(values: dict[str, Any], heading: str) -> str:
    rows = [
        [escape(str(name)), f"{value:,}" if type(value) is int else escape(str(value))]
        for name, value in values.items()
    ]
    return table([heading, "value"], rows) if rows else ""


def table(headings: list[str], rows: list[list[str]]) -> str:
    """A table of cells that are HTML already. A heading that begins with # is of a column of numbers."""
    classes = [' class="n"' if heading.startswith("#") else "" for heading in headings]
    head = "".join(f"<th{kind}>{text.lstrip('#')}</th>" for kind, text in zip(classes, headings, strict=True))
    body = "".join(
        "<tr>" + "".join(f"<td{kind}>{cell}</td>" for kind, cell in zip(classes, row, strict=True)) + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def render_notebooks(folder: Path) -> dict[str, str]:
    """The executed notebooks as HTML beside them: stem -> file name."""
    from nbconvert import HTMLExporter  # a second to import, after the work is done

    exporter = HTMLExporter(embed_images=True)
    pages = {}
    for path in sorted(folder.glob("*.ipynb")):
        page, _ = exporter.from_notebook_node(nbformat.read(path, as_version=4))
        path.with_suffix(".html").write_text(scrub(page))
        pages[path.stem] = f"{path.stem}.html"
    return pages
