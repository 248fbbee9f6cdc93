"""The datasets in a real PostgreSQL that the tests start."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from datetime import date
from pathlib import Path

import adbc_driver_postgresql.dbapi as postgresql
import pytest
from small_market import ODD, ROOT, ask_file, publish_market, sql

from pipeline.datasets.run_folder import RunFolder
from pipeline.errors import LockedError
from pipeline.sql.__main__ import write_views
from pipeline.sql.postgresql import load_postgresql
from tests.storage.stores import SECRET, start_s3

PROGRAMS = max(Path("/usr/lib/postgresql").glob("*/bin"), default=Path("/nowhere"))


@pytest.fixture(scope="module")
def server():
    """The address of a PostgreSQL that ends with the tests, on a socket in a folder of its own."""
    if not (PROGRAMS / "initdb").exists():
        pytest.skip("install PostgreSQL (apt-get install postgresql) to run this against it")
    folder = Path(tempfile.mkdtemp(prefix="market-pg-"))
    user = None
    if os.getuid() == 0:  # which PostgreSQL refuses to run as
        user = "nobody"
        shutil.chown(folder, user)
    data = folder / "data"
    options = f"-c listen_addresses='' -c unix_socket_directories='{folder}' -c fsync=off"
    start = ["-w", "-l", folder / "log", "-o", options, "start"]
    quiet = {"user": user, "cwd": folder, "check": True, "stdout": subprocess.DEVNULL}
    try:
        subprocess.run([PROGRAMS / "initdb", "-D", data, "-A", "trust", "-U", "market", "-E", "UTF8"], **quiet)
        subprocess.run([PROGRAMS / "pg_ctl", "-D", data, *start], **quiet)
        yield f"postgresql://market@/{{}}?host={folder}"
        subprocess.run([PROGRAMS / "pg_ctl", "-D", data, "-m", "immediate", "stop"], **quiet)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def url(server, request):
    """An empty database of the test's own."""
    name = f"test_{abs(hash(request.node.name))}"
    with postgresql.connect(server.format("postgres"), autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
    return server.format(name)


def ask(url: str, query: str) -> list[tuple]:
    with postgresql.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchall()


def do(url: str, *statements: str) -> None:
    with postgresql.connect(url, autocommit=True) as connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def count_prices(url: str) -> int:
    return ask(url, "SELECT count(*) FROM prices")[0][0]


def list_schemas(url: str) -> set[str]:
    return {name for (name,) in ask(url, "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'public%'")}


def test_tables_hold_what_the_file_shows(market, url):
    done = sql("--run-dir", market, DATABASE_URL=url)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[:3] == ["prices", f"{40 * len(ODD)}", "rows"]
    write_views(RunFolder(market))
    for query in (
        'SELECT "Symbol", "Date", "Open", "High", "Low", "Close", "Adj Close", "Volume" FROM prices',
        'SELECT "Symbol", "Date", "Security Name" IS NULL, vol_moving_avg, adj_close_rolling_med FROM features',
        'SELECT "Symbol", kind, file, rows, first_date, last_date, total_volume FROM symbols',
        "SELECT * FROM metrics",
        "SELECT * FROM forecasts",
        "SELECT * FROM scores",
    ):
        assert sorted(ask(url, query), key=repr) == sorted(ask_file(market, query), key=repr)
    for query in (
        'SELECT count(*), count("Security Name"), sum("Volume")::bigint, min("Date"), max("Date") FROM prices',
        "SELECT count(*), count(vol_moving_avg), count(adj_close_rolling_med) FROM features",
        "SELECT count(*), count(line), sum(rows)::bigint FROM quarantine",
    ):
        assert ask(url, query) == ask_file(market, query)
    kinds = dict(
        ask(url, "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 'features'")
    )
    assert (kinds["Symbol"], kinds["Date"]) == ("text", "date")
    assert (kinds["Volume"], kinds["vol_moving_avg"]) == ("bigint", "double precision")


def test_tables_of_a_run_folder_in_a_store_are_those_of_one_on_a_disk(market, url, monkeypatch):
    names = ("prices", "features", "symbols", "quarantine", "metrics")
    load_postgresql(RunFolder(market), url)
    expected = {name: sorted(ask(url, f"SELECT * FROM {name}"), key=repr) for name in names}
    with start_s3() as store:
        for name, value in store.variables.items():
            monkeypatch.setenv(name, value)
        publish_market(f"{store.root}/run")
        do(url, "DROP SCHEMA public_loaded CASCADE")
        done = sql("--run-dir", f"{store.root}/run", DATABASE_URL=url)
    assert done.returncode == 0, done.stderr
    assert SECRET not in done.stdout + done.stderr
    assert {name: sorted(ask(url, f"SELECT * FROM {name}"), key=repr) for name in names} == expected


@pytest.mark.parametrize("scheme", ["postgres", "PostgreSQL+psycopg2"])
def test_other_spellings_of_the_address_work(market, url, scheme):
    done = sql("--run-dir", market, DATABASE_URL=f" {url.replace('postgresql', scheme, 1)}\n")
    assert done.returncode == 0, done.stderr
    assert count_prices(url) == 40 * len(ODD)


def test_a_measure_that_is_no_longer_told_leaves_the_view(market, url):
    load_postgresql(RunFolder(market), url)
    do(
        url,
        "DROP VIEW metrics",
        "ALTER TABLE public_loaded.metrics ADD fit_seconds float8",
        "CREATE VIEW metrics AS SELECT kind, model, fit_seconds, mae FROM public_loaded.metrics",
    )
    load_postgresql(RunFolder(market), url)
    assert ask(url, "SELECT DISTINCT mae FROM metrics") == [(1.5,)]


def test_any_character_comes_through_and_nul_is_written_out(market, url):
    load_postgresql(RunFolder(market), url)
    assert {symbol for (symbol,) in ask(url, 'SELECT DISTINCT "Symbol" FROM prices')} == set(ODD)
    texts = {text for (text,) in ask(url, "SELECT text FROM quarantine")}
    assert texts == {*ODD, "a\\x00b"}
    assert ("^GSPC Inc.\\x00",) in ask(url, 'SELECT DISTINCT "Security Name" FROM features')


def test_a_symbol_and_a_day_are_found_by_an_index(market, url):
    load_postgresql(RunFolder(market), url)
    query = "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public_loaded' AND tablename = 'prices'"
    columns = {definition.partition("btree ")[2] for (definition,) in ask(url, query)}
    assert columns == {'("Symbol", "Date")', '("Date")'}


KILLED = """
import os, signal, sys
import pipeline.sql.postgresql as loading
from pipeline.datasets.run_folder import RunFolder

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

def read_and_die(*arguments):
    yield next(rows(*arguments))
    die()

moment, run_dir, url = sys.argv[1:]
rows, exchange = loading.read_batches, loading.exchange
if moment == "copy":
    loading.BATCH_ROWS = 100
    loading.read_batches = read_and_die
elif moment == "indexed":      # everything is loaded, nothing is exchanged
    loading.exchange = die
elif moment == "exchanged":    # and not committed
    loading.exchange = lambda *arguments: (exchange(*arguments), die())
loading.load_postgresql(RunFolder(run_dir), url)
"""


@pytest.mark.parametrize("moment", ["copy", "indexed", "exchanged"])
@pytest.mark.parametrize("before", [True, False], ids=["old rows", "nothing yet"])
def test_killed_load_leaves_the_old_rows_and_nothing_else(market, tmp_path, url, moment, before):
    publish_market(tmp_path, days=60)
    if before:
        load_postgresql(RunFolder(market), url)
    killed = subprocess.run([sys.executable, "-c", KILLED, moment, str(tmp_path), url], cwd=ROOT)
    assert killed.returncode == -signal.SIGKILL
    wait_for_end_of_loads(url)
    if before:
        assert count_prices(url) == 40 * len(ODD)
    load_postgresql(RunFolder(tmp_path), url)
    assert count_prices(url) == 60 * len(ODD)
    assert list_schemas(url) == {"public", "public_loaded"}


def wait_for_end_of_loads(url: str) -> None:
    """Until the server has noticed that its client is gone."""
    with postgresql.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(x'6D61726B6574'::bigint)")


def test_readers_see_all_old_or_all_new(tmp_path, url):
    for days in (40, 50):
        publish_market(tmp_path / str(days), days)
    load_postgresql(RunFolder(tmp_path / "40"), url)
    seen, stop = [], threading.Event()

    def read() -> None:
        query = "SELECT (SELECT count(*) FROM features), (SELECT count(*) FROM prices), (SELECT max(rows) FROM symbols)"
        with postgresql.connect(url, autocommit=True) as connection, connection.cursor() as cursor:
            while not stop.is_set():
                cursor.execute(query)
                seen.append(cursor.fetchone())

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for days in (50, 40, 50, 40, 50):
        load_postgresql(RunFolder(tmp_path / str(days)), url)
    stop.set()
    for reader in readers:
        reader.join()
    assert set(seen) == {(days * len(ODD), days * len(ODD), days) for days in (40, 50)}


def test_a_transaction_that_began_before_the_load_sees_no_empty_table(market, tmp_path, url, monkeypatch):
    publish_market(tmp_path, days=50)
    load_postgresql(RunFolder(market), url)
    monkeypatch.setattr("pipeline.sql.postgresql.PATIENCE", 1)
    with postgresql.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        cursor.execute("SELECT 1")
        cursor.fetchone()
        with pytest.raises(LockedError, match="has been reading the old rows"):
            load_postgresql(RunFolder(tmp_path), url)
        cursor.execute("SELECT count(*) FROM prices")
        assert cursor.fetchone() == (40 * len(ODD),)


def test_load_waits_for_who_is_reading(market, tmp_path, url, monkeypatch):
    publish_market(tmp_path, days=50)
    load_postgresql(RunFolder(market), url)
    monkeypatch.setattr("pipeline.sql.postgresql.PATIENCE", 1)
    with postgresql.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM prices")
        before = cursor.fetchone()
        with pytest.raises(LockedError, match="has been reading the old rows"):
            load_postgresql(RunFolder(tmp_path), url)
        cursor.execute("SELECT count(*) FROM features")
        assert cursor.fetchone() == before
    load_postgresql(RunFolder(tmp_path), url)
    assert count_prices(url) == 50 * len(ODD)


def test_rights_and_views_of_others_stay_from_load_to_load(market, url):
    load_postgresql(RunFolder(market), url)
    do(
        url,
        "DROP ROLE IF EXISTS analyst",
        "CREATE ROLE analyst",
        "GRANT SELECT ON prices TO analyst",
        'CREATE VIEW last_day AS SELECT max("Date") AS day FROM prices',
    )
    load_postgresql(RunFolder(market), url)
    with postgresql.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute("SET ROLE analyst")
        cursor.execute("SELECT count(*) FROM prices")
        assert cursor.fetchone() == (40 * len(ODD),)
    assert ask(url, "SELECT day FROM last_day") == [(date(2020, 2, 9),)]
    do(url, "DROP OWNED BY analyst", "DROP ROLE analyst")


def test_dataset_that_is_gone_is_gone_from_the_database(market, tmp_path, url):
    publish_market(tmp_path, model=False)
    load_postgresql(RunFolder(market), url)
    assert "metrics" not in load_postgresql(RunFolder(tmp_path), url)
    assert ask(url, "SELECT to_regclass('metrics') IS NULL") == [(True,)]


def test_views_that_somebody_dropped_come_back(market, url):
    load_postgresql(RunFolder(market), url)
    do(url, "DROP VIEW prices, features, symbols, quarantine, metrics")
    load_postgresql(RunFolder(market), url)
    assert count_prices(url) == 40 * len(ODD)


def test_a_second_load_at_the_same_time_is_refused(market, url):
    with postgresql.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(x'6D61726B6574'::bigint)")
        done = sql("--run-dir", market, "--database-url", url)
    assert done.returncode == 6
    assert "Another load" in done.stderr


@pytest.mark.parametrize("kind", ["TABLE prices AS SELECT 1 AS mine", "VIEW prices AS SELECT 1 AS mine"])
def test_somebody_elses_table_is_left_alone(market, url, kind):
    do(url, f"CREATE {kind}", "CREATE SCHEMA trading")
    done = sql("--run-dir", market, "--database-url", url)
    assert done.returncode == 2
    assert "search_path" in done.stderr
    assert ask(url, "SELECT * FROM prices") == [(1,)]
    load_postgresql(RunFolder(market), f"{url}&options=-csearch_path%3Dtrading")
    assert ask(url, "SELECT count(*) FROM trading.prices") == [(40 * len(ODD),)]


def test_missing_driver_is_named(market):
    without = "import sys; sys.modules['adbc_driver_postgresql'] = None; "
    code = without + "from runpy import run_module; run_module('pipeline.sql', run_name='__main__')"
    arguments = ["--run-dir", str(market), "--database-url", "postgresql://h/x"]
    done = subprocess.run([sys.executable, "-c", code, *arguments], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 5
    assert "pip install adbc-driver-postgresql" in done.stderr
