"""The executed notebooks of a run: as pages beside its report, and their pictures for the report itself."""

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import nbformat

# What a page would fetch from elsewhere: without a network the browser waits for it in vain.
REMOTE = re.compile(r'<script src="[^"]*"></script>|<img (?=[^<>]*>)[^<>]*src="https?://[^<>]*>')


@dataclass(frozen=True)
class Picture:
    """A plot of an executed notebook. png: in base64; heading: of the section it stands in."""

    stage: str
    heading: str
    png: str


def render_notebooks(folder: Path) -> None:
    """Write each executed notebook of a run's folder as an HTML page beside it, which opens offline."""
    from nbconvert import HTMLExporter  # a second to import, after the work is done

    exporter = HTMLExporter(embed_images=True, mathjax_url="", require_js_url="")
    for path in sorted(folder.glob("*.ipynb")):
        if notebook := read_executed(path):
            page, _ = exporter.from_notebook_node(notebook)
            path.with_suffix(".html").write_text(REMOTE.sub("", page))


def read_executed(path: Path) -> nbformat.NotebookNode | None:
    """An executed notebook; None where an interrupted run left half of one."""
    with suppress(nbformat.reader.NotJSONError):
        notebook: nbformat.NotebookNode = nbformat.read(path, as_version=4)
        return notebook
    return None


def find_notebook(folder: Path, stage: str) -> Path | None:
    """The executed notebook of a stage in a run's folder."""
    return next(iter(folder.glob(f"*_{stage}.ipynb")), None)


def list_pictures(notebook: Path, stage: str) -> Iterator[Picture]:
    heading, executed = "", read_executed(notebook)
    for cell in executed.cells if executed else ():
        if cell.cell_type == "markdown":
            headings = [line.lstrip("# ") for line in cell.source.splitlines() if line.startswith("#")]
            heading = headings[-1] if headings else heading
        for output in cell.get("outputs", []):
            if png := output.get("data", {}).get("image/png"):
                yield Picture(stage, heading, "".join(png.split()))
