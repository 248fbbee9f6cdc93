"""The executed notebooks of a run: as pages beside its report, and their pictures for the report itself."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import nbformat

NUMBER = re.compile(r"^\d+\. ")  # of a section
# Jupyter's own template knows no alternative text.
TEMPLATE = """
{%- extends 'index.html.j2' -%}
{%- block data_png scoped -%}
<div class="jp-RenderedImage jp-OutputArea-output {{ extra_class }}">
<img alt="{{ output.metadata['image/png'].alt | escape_html }}"
{%- if output.metadata['image/png'].width %} width="{{ output.metadata['image/png'].width | escape_html }}"{% endif %}
 src="data:image/png;base64,{{ output.data['image/png'] | escape_html }}">
</div>
{%- endblock data_png -%}
"""
# What a page would fetch from elsewhere: without a network the browser waits for it in vain.
REMOTE = re.compile(r'<script src="[^"]*"></script>|<img (?=[^<>]*>)[^<>]*src="https?://[^<>]*>')


@dataclass(frozen=True)
class Picture:
    """A plot of an executed notebook. png: in base64."""

    stage: str
    title: str
    png: str


def render_notebooks(folder: Path) -> list[str]:
    """Write each executed notebook of a run's folder as an HTML page beside it, which opens offline.

    Returns a sentence for each one that is damaged.
    """
    from nbconvert import HTMLExporter  # a second to import, after the work is done

    exporter = HTMLExporter(embed_images=True, mathjax_url="", require_js_url="", raw_template=TEMPLATE)
    damage = []
    for path in sorted(folder.glob("*.ipynb")):
        if (notebook := read_executed(path)) is None:
            damage.append(f"{path.name} is damaged, so there is no page of it.")
            continue
        page, _ = exporter.from_notebook_node(notebook)
        path.with_suffix(".html").write_text(REMOTE.sub("", page))
    return damage


def read_executed(path: Path) -> nbformat.NotebookNode | None:
    """An executed notebook whose pictures all have a title, as `alt` of their metadata; None where it is damaged, as an
    interrupted run may leave it.
    """
    try:
        notebook: nbformat.NotebookNode = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
        name_pictures(notebook)
    except (ValueError, AttributeError, KeyError, TypeError, nbformat.ValidationError):
        return None
    return notebook


def name_pictures(notebook: nbformat.NotebookNode) -> None:
    """Give each picture without a title of its own that of the section it stands in."""
    heading = "a picture"
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            headings = [line.lstrip("# ") for line in cell.source.splitlines() if line.startswith("#")]
            heading = NUMBER.sub("", headings[-1]) if headings else heading
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                facts = output.metadata.setdefault("image/png", nbformat.NotebookNode())
                facts["alt"] = str(facts.get("alt") or heading)


def find_notebook(folder: Path, stage: str) -> Path | None:
    """The executed notebook of a stage in a run's folder."""
    return next(iter(folder.glob(f"*_{stage}.ipynb")), None)


def list_pictures(notebook: Path, stage: str) -> Iterator[Picture]:
    executed = read_executed(notebook)
    for cell in executed.cells if executed else ():
        for output in cell.get("outputs", []):
            if png := output.get("data", {}).get("image/png"):
                yield Picture(stage, output.metadata["image/png"]["alt"], "".join(png.split()))
