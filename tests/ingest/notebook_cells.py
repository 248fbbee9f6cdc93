"""Run the cells of a notebook here, as its kernel would: on the tests' Spark, with every picture drawn."""

import ast
import io
from pathlib import Path

import matplotlib.pyplot as plt
import nbformat
import pytest

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"


def run_notebook(
    name: str, monkeypatch: pytest.MonkeyPatch, until: str = "", **parameters: object
) -> dict[str, object]:
    """Execute all cells but the first, which finds the project with what it imports. Returns what they have defined.

    until: what stands in the last cell to execute, where the later ones are not the point.
    """
    monkeypatch.setattr("matplotlib.pyplot.show", draw)
    monkeypatch.setattr("pyspark.sql.connect.session.SparkSession.stop", lambda self: None)  # others go on with it
    plt.switch_backend("agg")
    notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    defined: dict[str, object] = {"__name__": "__main__", "Path": Path}
    for cell in [cell for cell in notebook.cells if cell.cell_type == "code"][1:]:
        run_cell(cell.source, defined)
        if until and until in cell.source:
            break
        if "parameters" in cell.metadata.get("tags", []):
            defined |= parameters
    return defined


def run_cell(source: str, defined: dict[str, object]) -> None:
    """Execute a cell and show its last expression."""
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, source[:40], "exec"), defined)
    if isinstance(last, ast.Expr):
        print(eval(compile(ast.Expression(last.value), source[:40], "eval"), defined))


def draw() -> None:
    for number in plt.get_fignums():
        plt.figure(number).savefig(io.BytesIO())
    plt.close("all")
