"""Names from the input are text: they never become paths, code or markup."""

import ast
import json
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import pytest

from pipeline.ingest.delivery import METADATA
from pipeline.ingest.source import SAMPLE, open_source
from pipeline.reports.pages import render_notebooks
from pipeline.reports.report import write_report
from tests.faults.kills import run
from tests.ingest.deliveries import ROW, deliver, make_delivery, read
from tests.ingest.test_market_csv import HEADER

MARKUP = "<script>alert(1)</script>"
FORMULA = "$A_$#%41"  # to matplotlib a formula, and a wrong one; to an address a fragment and a letter


def list_files(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}


def test_symbols_that_look_like_paths_or_markup_are_text(spark, tmp_path):
    odd = ["_..", "-rf", "$(id)", "{RUN_DIR}", "<img src=x onerror=alert(1)>"]
    hidden = ["..", "..."]  # as files they begin with a dot
    files = {f"stocks/{symbol}.csv": ROW for symbol in odd + hidden}
    source = make_delivery(tmp_path / "in", files, {"_..": MARKUP})
    before = list_files(tmp_path)
    deliver(spark, tmp_path / "run", open_source("folder", str(source)))
    rows = read(tmp_path / "run", "prices")
    assert set(rows["Symbol"]) == set(odd)
    assert rows.set_index("Symbol")["Security Name"].astype(object)["_.."] == MARKUP
    assert all((tmp_path / "run") in path.parents for path in list_files(tmp_path) - before)


def test_a_zip_cannot_reach_out(spark, tmp_path):
    archive = tmp_path / "in" / "archive.zip"
    archive.parent.mkdir()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr(METADATA, "NASDAQ Symbol,Security Name\nA,a\n")
        for name in (
            "stocks/A.csv",
            "../B.csv",
            "stocks/../../C.csv",
            "/tmp/D.csv",
            "stocks/../E.csv",
            "stocks/..\\F.csv",
        ):
            file.writestr(name, HEADER + b"\n" + ROW)
    before = list_files(tmp_path)
    deliver(spark, tmp_path / "run", open_source("folder", str(archive)))
    assert set(read(tmp_path / "run", "prices")["Symbol"]) == {"A"}
    assert all((tmp_path / "run") in path.parents for path in list_files(tmp_path) - before)


def test_markup_from_the_input_stays_text_in_report_and_pages(tmp_path):
    stage = {"name": "ingest", "state": "failed", "seconds": 1.0, "why": MARKUP, "error": MARKUP}
    run = {
        "started": MARKUP,
        "exit_code": 3,
        "error": MARKUP,
        "seconds": 1.0,
        "stages": [stage | {"peak_bytes": 0, "run": None}],
        "parameters": {"DATA_DIR": MARKUP},
        "verdicts": [{"kept": False, "what": MARKUP}],
        "versions": {MARKUP: MARKUP},
        "flags": {MARKUP: 1},
        "ledger": {
            "files": 1,
            "read": 1,
            "published": 0,
            "refused": 1,
            "balances": True,
            "first_date": None,
            "last_date": None,
            "nameless": 0,
            "reasons": {MARKUP: 1},
        },
    }
    table = {"output_type": "stream", "name": "stdout", "text": [f"name {MARKUP}\n"]}
    cell = {"cell_type": "code", "execution_count": 1, "metadata": {}, "outputs": [table], "source": ["print(name)"]}
    notebook = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 4}
    (tmp_path / "01_ingest.ipynb").write_text(json.dumps(notebook))
    report = write_report(run, None, tmp_path)
    render_notebooks(tmp_path)
    for page in (report, tmp_path / "01_ingest.html"):
        assert MARKUP not in page.read_text()
        assert "&lt;script&gt;alert(1)" in page.read_text()


@pytest.mark.slow
def test_a_symbol_that_looks_like_a_formula_is_shown_as_it_is(tmp_path, ready_spark):
    corpus = shutil.copytree(SAMPLE, tmp_path / "in")
    (corpus / "etfs" / "^GSPC.csv").rename(corpus / "etfs" / f"{FORMULA}.csv")  # what the charts show: most volume
    listed = corpus / METADATA
    listed.write_text(listed.read_text().replace("^GSPC", FORMULA))
    assert run(tmp_path / "run", corpus, "-p", "NEXT_DAY", "true", **ready_spark).wait() == 0
    (served,) = tmp_path.glob("run/runs/*/04_serve.ipynb")
    assert any(f"0 {FORMULA} 20" in " ".join(text.split()) for text in list_texts(served))  # and the day


ROOT = Path(__file__).parents[2]
LENGTH = 100_000  # characters: where time grows with the square of them, one search takes minutes
METHODS = {"match", "search", "fullmatch", "sub", "subn", "split", "findall", "finditer"}

# Uses each pattern as the project does on each text, and says which one it is at, since it may not come back.
TRY_PATTERNS = """
import ast, re, sys
for line in sys.stdin:
    pattern, flags, methods, texts = ast.literal_eval(line)
    print(repr(pattern), methods, flush=True)
    pattern = re.compile(pattern, flags)
    for unit, count, tail in texts:
        text = unit * count + tail
        for method in methods:
            result = pattern.sub(text[:0], text) if "sub" in method else getattr(pattern, method)(text)
            if method == "finditer":
                list(result)
"""


@dataclass(frozen=True)
class Pattern:
    """A regular expression of the project. methods: how it is used."""

    text: str | bytes
    flags: int
    methods: tuple[str, ...]


def list_patterns() -> Iterator[Pattern]:
    """Every regular expression in the project's code: the compiled ones by their names, the others where they stand."""
    paths = [*sorted(ROOT.glob("pipeline/**/*.py")), *sorted(ROOT.glob("serving/**/*.py"))]
    nodes = [(path, node) for path in paths for node in ast.walk(ast.parse(path.read_text()))]
    uses: dict[tuple[Path | None, str], set[str]] = {}  # (file, NAME) -> the methods that it asks of it; None: any file
    for path, node in nodes:
        if isinstance(node, ast.Attribute) and node.attr in METHODS:
            for place in (path, None):
                uses.setdefault((place, ast.unparse(node.value).split(".")[-1]), set()).add(node.attr)
    for path, node in nodes:
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        if isinstance(node, ast.Assign) and ast.unparse(node.value).startswith("re.compile("):
            name = ast.unparse(node.targets[0])
            pattern = getattr(import_module(module), name)
            methods = uses.get((path, name)) or uses.get((None, name), {"fullmatch"})
            yield Pattern(pattern.pattern, pattern.flags, tuple(sorted(methods)))
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in {f"re.{method}" for method in METHODS}:
            for text in find_texts(node.args[0], module):
                yield Pattern(text, 0, (node.func.attr,))


def find_texts(argument: ast.expr, module: str) -> list[str]:
    """The patterns that a call of `re` may be given: one that is written there, a constant, or a field of a table."""
    if isinstance(argument, ast.Constant):
        return [argument.value]
    constants = vars(import_module(module))
    if isinstance(argument, ast.Name):
        return [constants[argument.id]]
    assert isinstance(argument, ast.Attribute), f"{module}: {ast.unparse(argument)} is a pattern that no test can find"
    rows = [row for table in constants.values() if isinstance(table, tuple) for row in table]
    return [getattr(row, argument.attr) for row in rows if hasattr(row, argument.attr)]


# What stands between the literal pieces of a pattern.
OPERATORS = r"\[\^?[^]]*\]|\(\?[:=!]|\\[A-Za-z]|\{[^}]*\}|[()|*+?^$]"


def list_nasty_texts(pattern: str | bytes) -> Iterator[tuple[str | bytes, int, str | bytes]]:
    """Texts of 100,000 characters that the pattern's own pieces suggest: what is repeated, how often, and the end."""
    text = pattern if isinstance(pattern, str) else pattern.decode()
    pieces = [piece.replace("\\", "") for piece in re.split(OPERATORS, text) if piece.strip("\\")]
    units = {*"0a_ .,-+/:@'<>\"\n\t[]=&?é", "0.", "e1", '""', '" ', *pieces}
    units |= {one + other for one in pieces for other in pieces}
    for unit in sorted(units):
        for tail in ("", "x", "\0", '"', "\n"):
            one = (unit, LENGTH // len(unit), tail)
            yield one if isinstance(pattern, str) else (unit.encode(), one[1], tail.encode())


def test_every_regular_expression_takes_linear_time():
    patterns = sorted(set(list_patterns()), key=repr)
    assert len(patterns) > 10
    lines = "\n".join(repr((one.text, one.flags, one.methods, list(list_nasty_texts(one.text)))) for one in patterns)
    command = [sys.executable, "-c", TRY_PATTERNS]
    try:
        subprocess.run(command, input=lines, text=True, capture_output=True, timeout=100, check=True)
    except subprocess.TimeoutExpired as expired:
        pytest.fail(f"no end in sight with {expired.stdout.decode().splitlines()[-1]}")


def list_texts(notebook: Path) -> list[str]:
    """The plain text of each result of an executed notebook."""
    outputs = [output for cell in json.loads(notebook.read_text())["cells"] for output in cell.get("outputs", [])]
    return ["".join(output.get("data", {}).get("text/plain", [])) for output in outputs]
