"""01_ingest with UPDATE: the folder is brought up to date, read, and what was changed is kept for the report."""

from datetime import timedelta
from functools import partial

import nbformat
import pyarrow.parquet as pq
import pytest

from pipeline.datasets.run_folder import RunFolder
from pipeline.errors import InputError, ParameterError, QualityError
from pipeline.reports.facts import gather_facts
from pipeline.reports.report import write_report
from pipeline.reports.times import tell_time
from pipeline.runs.execution import limit_cell
from pipeline.update.followed import choose_symbols
from pipeline.update.market import update_folder
from tests.ingest.notebook_cells import NOTEBOOKS, run_notebook
from tests.reports.small_report import RUN
from tests.update.market import QUICK
from tests.update.stand_in import Security, evening


@pytest.fixture
def ingest(spark, tmp_path, monkeypatch):
    """`ingest(market, day, ...)`: the notebook's cells on an evening, or later. Returns what they have defined."""
    monkeypatch.setattr("pipeline.update.market.update_folder", partial(update_folder, rate=QUICK))

    def run(market, day, later=timedelta(0), **parameters):
        market.state.now = evening(day) + later
        monkeypatch.setenv("AS_OF", market.state.now.isoformat())
        given = {"RUN_DIR": str(tmp_path / "run"), "SOURCE": "folder", "DATA_DIR": str(market.root), "UPDATE": True}
        return run_notebook("01_ingest", monkeypatch, **given | parameters)

    return run


def read_prices(run_dir):
    return pq.read_table(RunFolder(run_dir).current("prices").files).to_pandas()


@pytest.fixture
def four(open_market, real_bars, days):
    """Four symbols, last updated three days ago: one pays a dividend, one's Volume is corrected each next day."""
    securities = [
        Security("PLAIN", real_bars[0]),
        Security("DIVIDEND", real_bars[1 % len(real_bars)], dividends={days[-2]: 0.02}),
        Security("EARLY", real_bars[2 % len(real_bars)], early=set(days[-4:])),
        Security("BRK.B", real_bars[0], yahoo="BRK-B"),
    ]
    return open_market(securities, days[-4])


def test_two_evenings_are_read_told_and_their_corrections_reported(ingest, four, days, tmp_path, capsys):
    ingest(four, days[-2])
    told = capsys.readouterr().out
    assert "personal use" in told and "appended" in told
    assert "ok: 0 rows of the last days were changed" in told  # there was no run before
    ingest(four, days[-1])
    assert "ok: 1 rows of the last days were changed" in capsys.readouterr().out
    prices = read_prices(tmp_path / "run")
    for name, one in four.state.securities.items():
        view = one.view(days[-1])
        rows = prices[prices["Symbol"] == name]
        assert rows["Volume"].tolist() == [bar.volume for _, bar in sorted(view.items())], name
    run = RUN | gather_facts(RunFolder(tmp_path / "run"))
    truth = four.state.securities["EARLY"].bars[days[-2]].volume
    (row,) = run["update"]["revised"]["listed"]
    assert (row["Symbol"], row["Date"], row["Volume"]) == ("EARLY", str(days[-2]), truth)
    assert row["Volume before"] == truth * 9 // 10
    page = write_report(run, None, tmp_path).read_text()
    assert "1 row of 1 symbol was changed at the source" in page and f"{truth:,}" in page
    asked = f"asked last, on {tell_time(evening(days[-1]).isoformat())}"
    assert asked in page
    four.state.log.clear()
    ingest(four, days[-1], timedelta(hours=11))  # before the next open, as on a holiday: nobody has to be asked
    assert not four.state.log
    page = write_report(RUN | gather_facts(RunFolder(tmp_path / "run")), None, tmp_path).read_text()
    assert asked in page and "no row that an earlier run read has changed" in page


def test_the_ledger_that_an_earlier_update_left_is_shown(ingest, four, days, capsys):
    four.update(days[-1])
    four.state.log.clear()
    ingest(four, days[-1], UPDATE=False, until="display(show(notable))")
    told = capsys.readouterr().out
    assert "restated" in told and "DIVIDEND" in told
    assert not four.state.log


def test_nobody_reachable_publishes_nothing(ingest, four, days, tmp_path):
    four.state.refusals = 10**6
    with pytest.raises(InputError, match="Yahoo cannot be reached"):
        ingest(four, days[-1])
    assert RunFolder(tmp_path / "run").find("prices") is None


def test_too_many_without_the_last_day_publish_nothing(ingest, four, days, tmp_path):
    for one in list(four.state.securities.values())[:3]:
        one.late.add(days[-1])
    with pytest.raises(QualityError, match="3 of 4 symbols"):
        ingest(four, days[-1])
    assert RunFolder(tmp_path / "run").find("prices") is None


def test_symbols_choose_whom_to_follow(four, tmp_path):
    chosen = partial(choose_symbols, source="folder", data_dir=str(four.root))
    assert chosen("") == ["BRK.B", "DIVIDEND", "EARLY", "PLAIN"]
    assert chosen("PLAIN, NEW") == ["PLAIN", "NEW"]
    for name in ("._PLAIN.csv", ".hidden.csv", "PLAIN (1).csv"):  # a Mac's, an editor's, a second download
        (four.root / "stocks" / name).write_bytes(four.read("PLAIN"))
    assert chosen("") == ["BRK.B", "DIVIDEND", "EARLY", "PLAIN"]
    (tmp_path / "list.txt").write_text("NEW\n\nPLAIN\n")
    assert chosen(str(tmp_path / "list.txt")) == ["NEW", "PLAIN"]
    assert len(chosen("AAPL," * 8_000)) == 8_000  # longer than any file's name


def test_no_time_limit_cuts_an_update_short():
    cells = nbformat.read(NOTEBOOKS / "01_ingest.ipynb", as_version=4).cells
    (cell,) = [cell for cell in cells if "update_folder(" in cell.source]
    assert limit_cell(60, cell) is None
    assert limit_cell(60, cells[1]) == 60


@pytest.mark.parametrize(("source", "data_dir"), [("sample", ""), ("kaggle", "x"), ("folder", ""), ("folder", "none")])
def test_an_update_without_a_folder_or_a_symbol_says_what_to_give(tmp_path, monkeypatch, source, data_dir):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ParameterError, match=r"SYMBOLS|SOURCE folder"):
        choose_symbols("", source, data_dir)
