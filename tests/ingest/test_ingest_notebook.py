"""01_ingest on deliveries in which the first, the last, the largest or the only file is the odd one."""

import random
from pathlib import Path

import pytest

from pipeline.datasets.run_folder import RunFolder
from pipeline.errors import QualityError
from tests.ingest.deliveries import make_delivery, read
from tests.ingest.notebook_cells import run_notebook
from tests.ingest.test_market_csv import HEADER, make_lines

LINES = make_lines(random.Random(5), 90)
CLEAN = b"\n".join([HEADER, *LINES, b""])
BAD = {
    "nothing": b"",
    "a header alone": HEADER,
    "a wrong header": CLEAN.replace(b"Adj Close", b"Adjusted"),
    "Latin-1": CLEAN.replace(b"\n", b",\xfc\n").replace(b",\xfc", b",Note", 1),
    "UTF-16": CLEAN.decode().encode("utf-16"),
    "NUL": HEADER + b"\n" + bytes(9_000),
}
each_kind = pytest.mark.parametrize("kind", BAD)


def ingest(tmp_path: Path, monkeypatch, files: dict[str, bytes], share: float) -> dict[str, object]:
    folder = make_delivery(tmp_path / "in", {f"stocks/{symbol}.csv": b"" for symbol in files})
    for symbol, data in files.items():
        (folder / "stocks" / f"{symbol}.csv").write_bytes(data)
    parameters = {"SOURCE": "folder", "DATA_DIR": str(folder), "RUN_DIR": str(tmp_path / "run")}
    return run_notebook("01_ingest", monkeypatch, MAX_QUARANTINE_SHARE=share, **parameters)


@each_kind
def test_the_first_the_last_and_the_largest_file_may_be_bad(spark, tmp_path, monkeypatch, kind):
    bad = BAD[kind]
    files = {"A": bad, "B": CLEAN, "C": bad + bad[-1000:] * 20, "D": CLEAN, "Z": bad}
    ingest(tmp_path, monkeypatch, files, share=1)
    assert set(read(tmp_path / "run", "prices")["Symbol"]) == {"B", "D"}
    assert {"stocks/A.csv", "stocks/C.csv", "stocks/Z.csv"} == set(read(tmp_path / "run", "quarantine")["file"])


@each_kind
def test_the_only_file_may_be_bad(spark, tmp_path, monkeypatch, kind):
    with pytest.raises(QualityError, match=r"^100\.0% of all rows refused.*; for example stocks/A\.csv"):
        ingest(tmp_path, monkeypatch, {"A": BAD[kind]}, share=1)
    assert not (tmp_path / "run" / "prices" / "CURRENT").exists()


ONE_ROW = HEADER + b"\n" + LINES[0] + b"\n"


@pytest.mark.parametrize(
    "data",
    [
        ONE_ROW,
        HEADER + b"\n2020-01-02,0,0,0,0,0,0\n",
        HEADER + b"\n1678-01-01,1,1,1,1e308,-1e308,9007199254740991\n2261-12-31,1,1,1,-1e308,1e308,9007199254740991\n",
        b"\n".join([HEADER, *(line.rsplit(b",", 1)[0] + b",0" for line in LINES), b""]),
    ],
    ids=["one row", "zeros", "extremes", "no Volume"],
)
def test_the_only_symbol_may_be_odd(spark, tmp_path, monkeypatch, data):
    ingest(tmp_path, monkeypatch, {"$A_$": data}, share=0)
    assert RunFolder(tmp_path / "run").current("prices").rows == data.count(b"\n") - 1


def test_a_bad_delivery_is_told_with_reasons_and_examples(spark, tmp_path, monkeypatch, capsys):
    spoiled = b"\n".join([HEADER, *LINES, *[b"2020-01-02,1,2"] * 9, b"2030-01-01,\x1b[2J,1,1,1,1,1", b"", b"", b""])
    with pytest.raises(QualityError) as refused:
        ingest(tmp_path, monkeypatch, {"A": CLEAN, "B": spoiled}, share=0.05)
    assert str(refused.value) == (
        "6.2% of all rows refused, MAX_QUARANTINE_SHARE is 5.0%: fields 9 rows in 1 file, blank 2 rows in 1 file, "
        "number 1 row in 1 file; for example stocks/B.csv line 92: '2020-01-02,1,2' (fields); stocks/B.csv line 102: "
        "'' (blank); stocks/B.csv line 101: '2030-01-01,\\x1b[2J,1,1,1,1,1' (number). Nothing was published; mend the "
        "files or raise the limit."
    )
    shown = capsys.readouterr().out
    assert "2020-01-02,1,2" in shown and "stocks/B.csv" in shown  # in the notebook as well
