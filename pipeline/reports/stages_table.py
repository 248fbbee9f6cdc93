"""The stages of a run: what became of each, and the plots of their notebooks."""

from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pipeline.reports.markup import table
from pipeline.reports.pages import find_notebook, list_pictures
from pipeline.reports.times import tell_run, tell_seconds

Stage = dict[str, Any]  # a stage as run.json holds it


def stages_table(stages: list[Stage], folder: Path) -> str:
    longest = max((stage["seconds"] for stage in stages), default=0) or 1
    rows = []
    for stage in stages:
        bar = f'<span class="track"><i style="width:{stage["seconds"] / longest:.0%}"></i></span>'
        time = f'{bar} <span class="told">{tell_seconds(stage["seconds"])}</span>' if stage["seconds"] else ""
        memory = f"{stage['peak_bytes'] / 2**30:.2f}" if stage["peak_bytes"] else ""
        rows.append([link_notebook(stage, folder), stage["state"], time, memory, escape(tell_why(stage))])
    return table(["stage", "state", "#time", "#peak GiB", "why"], rows, "stages")


def tell_why(stage: Stage) -> str:
    if stage["error"]:
        return "failed as told above"
    if stage["state"] == "cached":
        return f"nothing changed since the run of {tell_run(stage['run'])}" if stage["run"] else "nothing changed"
    return stage["why"] or ""


def link_notebook(stage: Stage, folder: Path) -> str:
    """The name of a stage, with a link to its executed notebook where there is one."""
    name, home = escape(stage["name"]), find_home(stage, folder)
    if notebook := find_notebook(home, stage["name"]):
        page = notebook.with_suffix(".html").name
        place = page if home == folder else f"../{home.name}/{page}"
        return f'<a href="{escape(quote(place))}">{name}</a>'
    return name


def find_home(stage: Stage, folder: Path) -> Path:
    """The folder of the run that executed a stage's notebook: this one, or for a cached stage an earlier one."""
    return folder.parent / stage["run"] if stage["run"] else folder


def gallery(stages: list[Stage], folder: Path) -> str:
    """The plots of all executed notebooks, inside the page. A click shows one as large as it is, and so does Enter."""
    figures: list[str] = []
    for stage in stages:
        notebook = find_notebook(find_home(stage, folder), stage["name"])
        for picture in list_pictures(notebook, stage["name"]) if notebook else ():
            title, number = escape(picture.title), len(figures) + 1
            image = f'<img alt="{title}" src="data:image/png;base64,{escape(picture.png)}">'
            figures.append(
                f'<figure id="plot-{number}"><a href="#plot-{number}">{image}</a>'
                f'<figcaption>{title} <span class="soft">({escape(picture.stage)})</span></figcaption>'
                f'<a class="close" href="#pictures">Back to the report</a></figure>'
            )
    return f'<div class="gallery">{"".join(figures)}</div>' if figures else ""
