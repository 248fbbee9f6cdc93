"""Names from the input are text: they never become paths, code or markup."""

import json
import shutil
import zipfile
from pathlib import Path

import pytest

from pipeline.ingest.source import METADATA, SAMPLE, open_source
from pipeline.reports.pages import render_notebooks
from pipeline.reports.report import write_report
from tests.faults.kills import run
from tests.ingest.test_market_csv import HEADER
from tests.ingest.test_prices import ROW, deliver, make_delivery, read

MARKUP = "<script>alert(1)</script>"
FORMULA = "$A_$#%41"  # to matplotlib a formula, and a wrong one; to an address a fragment and a letter


def list_files(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}


def test_symbols_that_look_like_paths_or_markup_are_text(spark, tmp_path):
    odd = ["..", "...", "-rf", "$(id)", "{RUN_DIR}", "<img src=x onerror=alert(1)>"]
    files = {f"stocks/{symbol}.csv": ROW for symbol in odd}
    source = make_delivery(tmp_path / "in", files, {"..": MARKUP})
    before = list_files(tmp_path)
    deliver(spark, tmp_path / "run", open_source("folder", str(source)))
    rows = read(tmp_path / "run", "prices")
    assert set(rows["Symbol"]) == set(odd)
    assert rows.set_index("Symbol")["Security Name"].astype(object)[".."] == MARKUP
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
    assert "A" in set(read(tmp_path / "run", "prices")["Symbol"])
    assert not {"B", "C", "D", "E"} & set(read(tmp_path / "run", "prices")["Symbol"])
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
def test_a_symbol_that_looks_like_a_formula_is_shown_as_it_is(tmp_path):
    corpus = shutil.copytree(SAMPLE, tmp_path / "in")
    (corpus / "etfs" / "^GSPC.csv").rename(corpus / "etfs" / f"{FORMULA}.csv")  # what the charts show: most volume
    listed = corpus / METADATA
    listed.write_text(listed.read_text().replace("^GSPC", FORMULA))
    assert run(tmp_path / "run", corpus, "-p", "NEXT_DAY", "true").wait() == 0
    (served,) = tmp_path.glob("run/runs/*/04_serve.ipynb")
    assert any(f"symbol {FORMULA}" in " ".join(text.split()) for text in list_texts(served))


def list_texts(notebook: Path) -> list[str]:
    """The plain text of each result of an executed notebook."""
    outputs = [output for cell in json.loads(notebook.read_text())["cells"] for output in cell.get("outputs", [])]
    return ["".join(output.get("data", {}).get("text/plain", [])) for output in outputs]
