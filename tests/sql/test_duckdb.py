"""The datasets in SQL without a server: DuckDB's file of views."""

import subprocess
from datetime import date

import duckdb
import pytest
from small_market import ODD, ask_file, publish_market, sql

from pipeline.datasets.run_folder import RunFolder
from pipeline.sql.__main__ import write_views


def test_views_hold_what_the_parts_hold(market):
    done = sql("--run-dir", market)
    assert (done.returncode, done.stdout.strip()) == (0, str(market / "market.duckdb"))
    for dataset in ("prices", "features", "symbols", "quarantine", "forecasts", "scores"):
        files = [str(file) for file in RunFolder(market).current(dataset).files]
        shown, written = ask_file(market, f"FROM {dataset}"), duckdb.read_parquet(files).fetchall()
        assert sorted(shown, key=repr) == sorted(written, key=repr)
    kinds = dict(row[:2] for row in ask_file(market, "DESCRIBE features"))
    assert {kinds[name] for name in ("Date", "Volume", "Adj Close", "vol_moving_avg")} == {"DATE", "BIGINT", "DOUBLE"}


def test_metrics_are_a_row_a_model(market):
    write_views(RunFolder(market))
    rows = ask_file(market, "SELECT kind, model, champion, mae, train_rows FROM metrics ORDER BY ALL")
    assert rows == [
        ("next_day", "naive", True, 1.5, None),
        ("same_day", "grid", True, 1.5, 20),
        ("same_day", "naive", False, 1.5, None),
    ]


def test_the_diary_tells_how_a_day_was_forecast_and_what_came(market):
    write_views(RunFolder(market))
    assert ask_file(market, "SELECT count(*), count(DISTINCT symbol) FROM forecasts") == [(2 * len(ODD), len(ODD))]
    asked = (
        "SELECT DISTINCT made_at = TIMESTAMPTZ '2020-02-09 01:15:00.00025+00', date, actual, error, inside FROM scores"
    )
    assert ask_file(market, asked) == [(True, date(2020, 2, 10), 2**40 + 1, 1, True)]


def test_views_follow_the_pointer_without_being_made_again(tmp_path):
    publish_market(tmp_path, days=40)
    write_views(RunFolder(tmp_path))
    first = (tmp_path / "prices" / "CURRENT").read_text()
    publish_market(tmp_path, days=50)
    draft = RunFolder(tmp_path).open_draft("prices")  # a run is at work
    (draft.path / "part-00000.parquet").write_bytes(b"half a part")
    assert ask_file(tmp_path, "SELECT count(*) FROM prices") == [(50 * len(ODD),)]
    (tmp_path / "prices" / "CURRENT").write_text(first)  # somebody goes back
    assert ask_file(tmp_path, "SELECT count(*) FROM prices JOIN features USING (Symbol, Date)") == [(40 * len(ODD),)]


def test_views_open_no_part_of_other_versions(tmp_path):
    for days in (30, 40, 50):
        publish_market(tmp_path, days)
    old = sorted((tmp_path / "prices").glob("*/part-00001.parquet"))[:-1]
    write_views(RunFolder(tmp_path))
    for path in old:
        path.write_bytes(b"PAR1 damaged PAR1")
    assert ask_file(tmp_path, "SELECT count(DISTINCT Symbol), sum(Volume) > 0 FROM prices") == [(len(ODD), True)]


@pytest.mark.parametrize("name", ["[1] 100%", "it's {x}", "a*b"])
def test_run_folder_may_have_any_name(tmp_path, name):
    publish_market(tmp_path / name, model=False)
    write_views(RunFolder(tmp_path / name))
    assert ask_file(tmp_path / name, "SELECT count(*) FROM symbols") == [(len(ODD),)]


def test_folder_that_moved_is_written_again(tmp_path):
    publish_market(tmp_path / "old")
    write_views(RunFolder(tmp_path / "old"))
    (tmp_path / "old").rename(tmp_path / "new")
    write_views(RunFolder(tmp_path / "new"))
    assert ask_file(tmp_path / "new", "SELECT count(*) FROM symbols") == [(len(ODD),)]


def test_file_is_exchanged_while_somebody_has_it_open(market):
    write_views(RunFolder(market))
    with duckdb.connect(market / "market.duckdb") as database:
        write_views(RunFolder(market))
        assert database.execute("SELECT count(*) FROM symbols").fetchall() == [(len(ODD),)]


def test_a_run_without_a_model_has_no_metrics(tmp_path):
    publish_market(tmp_path, model=False)
    write_views(RunFolder(tmp_path))
    assert {name for (name,) in ask_file(tmp_path, "SHOW TABLES")} == {"prices", "features", "symbols", "quarantine"}


def test_folder_without_a_run_names_the_notebook(tmp_path):
    done = sql("--run-dir", tmp_path)
    assert done.returncode == 3
    assert "run notebooks/01_ingest.ipynb first" in done.stderr
    assert not list(tmp_path.iterdir())


def test_file_that_cannot_be_written_is_told_in_a_line(tmp_path):
    run_dir = tmp_path / "what?"  # DuckDB takes what follows a question mark for options
    publish_market(run_dir)
    done = sql("--run-dir", run_dir)
    assert done.returncode == 7
    assert done.stderr.startswith(f"error: {run_dir / 'market.duckdb'} cannot be written")
    assert not list(run_dir.glob("*market.duckdb*"))


def test_folder_that_may_only_be_read_is_told_in_a_line(tmp_path):
    run_dir = tmp_path / "run"
    publish_market(run_dir)
    if subprocess.run(["mount", "--bind", "-o", "ro", run_dir, run_dir], capture_output=True).returncode:
        run_dir.chmod(0o555)  # this is nothing to root, and only root can mount
    try:
        done = sql("--run-dir", run_dir)
    finally:
        if subprocess.run(["umount", run_dir], capture_output=True).returncode:
            run_dir.chmod(0o755)
    assert done.returncode == 7
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"error: {run_dir / 'market.duckdb'} cannot be written")


@pytest.mark.parametrize("address", ["sqlite:///db.sqlite3", "mysql://u:p@h/x", " \n"])
def test_the_database_of_another_program_is_left_alone(tmp_path, address):
    publish_market(tmp_path)
    done = sql("--run-dir", tmp_path, DATABASE_URL=address)
    assert (done.returncode, done.stdout.strip()) == (0, str(tmp_path / "market.duckdb"))
    assert ask_file(tmp_path, "SELECT count(*) FROM symbols") == [(len(ODD),)]
    warned = "".join(f"{line.split(' in ')[0]}\n" for line in done.stderr.splitlines())
    assert warned == ("warning: DATABASE_URL\n" if address.strip() else "")


@pytest.mark.parametrize("address", ["sqlite:///db.sqlite3", ""])
def test_a_database_of_another_kind_that_is_asked_for_is_refused(tmp_path, address):
    publish_market(tmp_path)
    done = sql("--run-dir", tmp_path, "--database-url", address)
    assert done.returncode == 2
    assert done.stderr == "error: --database-url must begin with postgresql://\n"
    assert not (tmp_path / "market.duckdb").exists()
