"""report.html: one self-contained page about a run, for people who want to know whether to believe it."""

from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pipeline.datasets.contract import FLAGS
from pipeline.reports.drift import MODERATE, STRONG
from pipeline.reports.lineage import draw_lineage
from pipeline.reports.pages import find_notebook, list_pictures, render_notebooks
from pipeline.reports.verdicts import TASKS

STYLE = """
:root{--ink:#1c2733;--soft:#5b6b7b;--line:#d9e0e7;--good:#12715b;--bad:#b3261e;--bar:#3b6ea8}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);max-width:62rem;margin:2rem auto;padding:0 1rem}
h1{margin:0;font-size:1.6rem} h2{margin:2rem 0 .5rem;font-size:1.15rem;border-bottom:1px solid var(--line)}
table{border-collapse:collapse;width:100%} th{text-align:left;color:var(--soft);font-weight:600}
td,th{padding:.25rem .75rem .25rem 0;border-bottom:1px solid var(--line);vertical-align:top}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}
.verdict{font-weight:700}.good{color:var(--good)}.bad{color:var(--bad)}.soft{color:var(--soft)}
.bar{display:inline-block;height:.7em;background:var(--bar);border-radius:2px}
svg,img{max-width:100%;height:auto}
.verdicts{list-style:none;padding:0}.verdicts b{display:inline-block;width:2.75rem}.verdicts span{color:var(--ink)}
.gallery{display:grid;grid-template-columns:1fr 1fr;gap:1rem}
figure{margin:0}figure img{max-height:18rem}figcaption{color:var(--soft);font-size:.85rem}
@media(max-width:40rem){.gallery{grid-template-columns:1fr}section{overflow-x:auto}}
@media print{body{margin:0;max-width:none;font-size:11pt;print-color-adjust:exact}a{color:inherit;text-decoration:none}
h2{break-after:avoid}tr,svg,figure,li{break-inside:avoid}}
"""


def write_report(run: dict[str, Any], previous: dict[str, Any] | None, folder: Path) -> Path:
    """Write report.html into the run's folder, and its executed notebooks as HTML beside it.

    run, previous: what run.json holds of this run and of the last one that went well. Every text is escaped: names
    come from the input.
    """
    render_notebooks(folder)
    subject = "it" if run["exit_code"] == 0 else "what earlier runs published"
    sections = [
        title(run),
        section(f"Whether to believe {subject}", verdict_list(run["verdicts"])),
        section("Stages", stages_table(run["stages"], folder)),
        section("Where everything comes from", draw_lineage(run)),
        section("Every row accounted for", ledger_table(run)),
        section("Suspicious rows, published but kept out of training", flags_table(run)),
        section("Drift since the model before", drift_table(run)),
        *(
            section(f"{heading}: error of each model", models_table(run, previous, task))
            for task, heading in TASKS.items()
        ),
        section("Pictures", gallery(run["stages"], folder)),
        section("Parameters", count_table(run["parameters"], "parameter")),
        section("Versions", count_table(run.get("versions", {}), "of")),
    ]
    body = "\n".join(filter(None, sections))
    page = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Run {escape(run["started"])}</title>'
    page += f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style><body>{body}</body></html>'
    path = folder / "report.html"
    path.write_text(page)
    return path


def title(run: dict[str, Any]) -> str:
    good = run["exit_code"] == 0
    verdict = "The run went well." if good else f"The run failed with exit code {run['exit_code']}."
    error = f'<p class="bad">{escape(run["error"])}</p>' if run["error"] else ""
    if not good and run.get("datasets"):
        error += "<p>The run folder keeps what earlier runs published; that is what the rest of this page shows.</p>"
    begun = f'<p class="soft">Started {escape(run["started"])}, took {run["seconds"]:,.1f} s.</p>'
    return f'<h1>Run report</h1><p class="verdict {"good" if good else "bad"}">{verdict}</p>{error}{begun}'


def verdict_list(verdicts: list[dict[str, Any]]) -> str:
    items = (
        f'<li class="{"good" if one["kept"] else "bad"}"><b>{"ok" if one["kept"] else "look"}</b> '
        f"<span>{escape(one['what'])}</span></li>"
        for one in verdicts
    )
    return f'<ul class="verdicts">{"".join(items)}</ul>' if verdicts else ""


def section(heading: str, content: str) -> str:
    return f"<section><h2>{heading}</h2>{content}</section>" if content else ""


def stages_table(stages: list[dict[str, Any]], folder: Path) -> str:
    longest = max((stage["seconds"] for stage in stages), default=0) or 1
    rows = []
    for stage in stages:
        name, home = escape(stage["name"]), find_home(stage, folder)
        if notebook := find_notebook(home, stage["name"]):
            place = "" if home == folder else f"../{home.name}/"
            name = f'<a href="{escape(quote(place + notebook.with_suffix(".html").name))}">{name}</a>'
        bar = f'<span class="bar" style="width:{stage["seconds"] / longest * 8:.2f}rem"></span>'
        memory = f"{stage['peak_bytes'] / 2**30:.2f}" if stage["peak_bytes"] else ""
        why = stage["error"] or stage["why"] or ""
        if stage["state"] == "cached":
            why = f"nothing changed since run {stage['run']}"
        rows.append([name, stage["state"], f"{stage['seconds']:,.1f}", bar, memory, escape(why)])
    return table(["stage", "state", "#seconds", "", "#peak GiB", "why"], rows)


def find_home(stage: dict[str, Any], folder: Path) -> Path:
    """The folder of the run that executed a stage's notebook: this one, or for a cached stage an earlier one."""
    return folder.parent / stage["run"] if stage["run"] else folder


def gallery(stages: list[dict[str, Any]], folder: Path) -> str:
    """The plots of all executed notebooks, inside the page."""
    figures = []
    for stage in stages:
        if notebook := find_notebook(find_home(stage, folder), stage["name"]):
            for picture in list_pictures(notebook, stage["name"]):
                caption = escape(f"{picture.stage}: {picture.heading}")
                image = f'<img alt="{caption}" src="data:image/png;base64,{escape(picture.png)}">'
                figures.append(f"<figure>{image}<figcaption>{caption}</figcaption></figure>")
    return f'<div class="gallery">{"".join(figures)}</div>' if figures else ""


def ledger_table(run: dict[str, Any]) -> str:
    ledger = run.get("ledger")
    if not ledger:
        return ""
    rows = [[f"read, in {ledger['files']:,} files", f"{ledger['read']:,}"], ["published", f"{ledger['published']:,}"]]
    rows += [[f"refused: {escape(reason)}", f"{count:,}"] for reason, count in ledger["reasons"].items()]
    days = f"{ledger['nameless']:,} files have no name in the metadata. " if ledger["nameless"] else ""
    days += f"Days from {ledger['first_date']} to {ledger['last_date']}." if ledger["first_date"] else ""
    return table(["rows", "#count"], rows) + f'<p class="soft">{days}</p>'


def flags_table(run: dict[str, Any]) -> str:
    published = run.get("ledger", {}).get("published") or 1
    rows = [
        [escape(FLAGS[name].meaning if name in FLAGS else name), f"{count:,}", f"{count / published:.2%}"]
        for name, count in run.get("flags", {}).items()
    ]
    return table(["rule", "#rows", "#share"], rows) if rows else ""


def drift_table(run: dict[str, Any]) -> str:
    drift = run.get("drift")
    if not drift:
        return ""
    rows = []
    for row in drift["measures"]:
        form = "{:.2%}" if row["what"].startswith("share") else "{:,.0f}" if row["then"] >= 1000 else "{:.3g}"
        kind = "good" if row["shift"] == "none" else "bad"
        shift = f'<span class="{kind}">{escape(row["shift"])}</span>'
        rows.append(
            [escape(row["what"]), form.format(row["then"]), form.format(row["now"]), f"{row['psi']:.3f}", shift]
        )
    note = (
        f"Compared with the data of model {escape(drift['model'][:8])}: medians or shares, and the population "
        f"stability index over the tenths of the older data; from {MODERATE} on a shift is moderate, from {STRONG} on "
        "strong."
    )
    return table(["what", "#then", "#now", "#index", "shift"], rows) + f'<p class="soft">{note}</p>'


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
