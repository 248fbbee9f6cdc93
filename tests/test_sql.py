"""The datasets in SQL: through DuckDB's file, and in a real PostgreSQL that the tests start."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from datetime import date, timedelta
from pathlib import Path

import adbc_driver_postgresql.dbapi as postgresql
import duckdb
import pyarrow as pa
import pytest

from pipeline.contract import FEATURES, PRICES, QUARANTINE, SYMBOLS
from pipeline.errors import LockedError
from pipeline.parts import keep_attempts, write_attempt
from pipeline.postgresql import load_postgresql
from pipeline.sql import write_views
from pipeline.store import current_version, open_draft

ROOT = Path(__file__).parent.parent
PROGRAMS = max(Path("/usr/lib/postgresql").glob("*/bin"), default=Path("/nowhere"))
ODD = ["^GSPC", "BRK-A", "CARR#", "a b", "[1]", "100%", "O'Neil", 'say "so"', "back\\slash", "日本", "tab\tline\n"]
SCORES = {"mae": 1.5, "rmse": 2.5, "r2": 0.5, "wape": 0.1, "rmsle": 0.2, "skill": 0.0, "test_rows": 10}
FITTED = {"fit_seconds": 3.5, "train_rows": 20, "calibration_mae": 1.0}
METRICS = {
    "same_day": {"champion": "grid", "models": {"naive": SCORES, "grid": SCORES | FITTED}},
    "next_day": {"champion": "naive", "models": {"naive": SCORES}},
}


def publish_market(run_dir: Path, days: int = 40, model: bool = True) -> None:
    """A run folder as a run leaves it: odd symbols, `days` rows each, prices and features in two parts."""
    rows = [
        {
            "Symbol": symbol,
            "Security Name": None if number % 2 else f"{symbol} Inc.\0",
            "Date": date(2020, 1, 1) + timedelta(day),
            **dict.fromkeys(("Open", "High", "Low", "Close", "Adj Close"), 10.0 + day / 3),
            "Volume": 18_000_000_000 + day,
            "vol_moving_avg": None if day < 29 else day / 7,
            "adj_close_rolling_med": None if day < 29 else 1e-300,
        }
        for number, symbol in enumerate(ODD)
        for day in range(days)
    ]
    half = days * (len(ODD) // 2)
    for dataset, schema in (("prices", PRICES), ("features", FEATURES)):
        publish(run_dir, dataset, schema, rows[:half], rows[half:])
    symbols = [
        {"Symbol": symbol, "kind": "stock", "file": f"stocks/{symbol}.csv", "rows": days, "total_volume": 1}
        | dict.fromkeys(("data_rows", "refused", "flagged"), 0)
        for symbol in ODD
    ]
    publish(run_dir, "symbols", SYMBOLS, symbols)
    refused = [{"file": "a.csv", "line": None, "text": text, "reason": "blank", "rows": 1} for text in (*ODD, "a\0b")]
    publish(run_dir, "quarantine", QUARANTINE, refused)
    if model:
        draft = open_draft(run_dir, "model")
        (draft.path / "metrics.json").write_text(json.dumps(METRICS))
        draft.publish(parameters={}, inputs={})


def publish(run_dir: Path, dataset: str, schema: pa.Schema, *parts: list[dict]) -> None:
    draft = open_draft(run_dir, dataset)
    attempts = [write_attempt(pa.Table.from_pylist(part, schema=schema), draft.path) for part in parts]
    draft.publish(keep_attempts(draft.path, attempts), schema=schema, parameters={}, inputs={})


def sql(*arguments, **environment) -> subprocess.CompletedProcess:
    """`python -m pipeline.sql` as a person calls it."""
    command = [sys.executable, "-m", "pipeline.sql", *map(str, arguments)]
    clean = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    return subprocess.run(command, cwd=ROOT, env=clean | environment, capture_output=True, text=True)


@pytest.fixture(scope="module")
def market(tmp_path_factory) -> Path:
    run_dir = tmp_path_factory.mktemp("market")
    publish_market(run_dir)
    return run_dir


# DuckDB


def ask_file(run_dir: Path, query: str) -> list[tuple]:
    with duckdb.connect(run_dir / "market.duckdb", read_only=True) as database:
        return database.execute(query).fetchall()


def test_views_hold_what_the_parts_hold(market):
    done = sql("--run-dir", market)
    assert (done.returncode, done.stdout.strip()) == (0, str(market / "market.duckdb"))
    for dataset in ("prices", "features", "symbols", "quarantine"):
        files = [str(file) for file in current_version(market, dataset).files]
        shown, written = ask_file(market, f"FROM {dataset}"), duckdb.read_parquet(files).fetchall()
        assert sorted(shown, key=repr) == sorted(written, key=repr)
    kinds = dict(row[:2] for row in ask_file(market, "DESCRIBE features"))
    assert {kinds[name] for name in ("Date", "Volume", "Adj Close", "vol_moving_avg")} == {"DATE", "BIGINT", "DOUBLE"}


def test_metrics_are_a_row_a_model(market):
    write_views(market)
    rows = ask_file(market, "SELECT kind, model, champion, mae, fit_seconds, train_rows FROM metrics ORDER BY ALL")
    assert rows == [
        ("next_day", "naive", True, 1.5, None, None),
        ("same_day", "grid", True, 1.5, 3.5, 20),
        ("same_day", "naive", False, 1.5, None, None),
    ]


def test_views_follow_the_pointer_without_being_made_again(tmp_path):
    publish_market(tmp_path, days=40)
    write_views(tmp_path)
    first = (tmp_path / "prices" / "CURRENT").read_text()
    publish_market(tmp_path, days=50)
    draft = open_draft(tmp_path, "prices")  # a run is at work
    (draft.path / "part-00000.parquet").write_bytes(b"half a part")
    assert ask_file(tmp_path, "SELECT count(*) FROM prices") == [(50 * len(ODD),)]
    (tmp_path / "prices" / "CURRENT").write_text(first)  # somebody goes back
    assert ask_file(tmp_path, "SELECT count(*) FROM prices JOIN features USING (Symbol, Date)") == [(40 * len(ODD),)]


def test_views_open_no_part_of_other_versions(tmp_path):
    for days in (30, 40, 50):
        publish_market(tmp_path, days)
    old = sorted((tmp_path / "prices").glob("*/part-00001.parquet"))[:-1]
    write_views(tmp_path)
    for path in old:
        path.write_bytes(b"PAR1 damaged PAR1")
    assert ask_file(tmp_path, "SELECT count(DISTINCT Symbol), sum(Volume) > 0 FROM prices") == [(len(ODD), True)]


@pytest.mark.parametrize("name", ["[1] 100%", "it's {x}", "a*b"])
def test_run_folder_may_have_any_name(tmp_path, name):
    publish_market(tmp_path / name, model=False)
    write_views(tmp_path / name)
    assert ask_file(tmp_path / name, "SELECT count(*) FROM symbols") == [(len(ODD),)]


def test_folder_that_moved_is_written_again(tmp_path):
    publish_market(tmp_path / "old")
    write_views(tmp_path / "old")
    (tmp_path / "old").rename(tmp_path / "new")
    write_views(tmp_path / "new")
    assert ask_file(tmp_path / "new", "SELECT count(*) FROM symbols") == [(len(ODD),)]


def test_file_is_exchanged_while_somebody_has_it_open(market):
    write_views(market)
    with duckdb.connect(market / "market.duckdb") as database:
        write_views(market)
        assert database.execute("SELECT count(*) FROM symbols").fetchall() == [(len(ODD),)]


def test_a_run_without_a_model_has_no_metrics(tmp_path):
    publish_market(tmp_path, model=False)
    write_views(tmp_path)
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


# PostgreSQL


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
    write_views(market)
    for query in (
        'SELECT "Symbol", "Date", "Open", "High", "Low", "Close", "Adj Close", "Volume" FROM prices',
        'SELECT "Symbol", "Date", "Security Name" IS NULL, vol_moving_avg, adj_close_rolling_med FROM features',
        'SELECT "Symbol", kind, file, rows, first_date, last_date, total_volume FROM symbols',
        "SELECT * FROM metrics",
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


def test_any_character_comes_through_and_nul_is_written_out(market, url):
    load_postgresql(market, url)
    assert {symbol for (symbol,) in ask(url, 'SELECT DISTINCT "Symbol" FROM prices')} == set(ODD)
    texts = {text for (text,) in ask(url, "SELECT text FROM quarantine")}
    assert texts == {*ODD, "a\\x00b"}
    assert ("^GSPC Inc.\\x00",) in ask(url, 'SELECT DISTINCT "Security Name" FROM features')


def test_a_symbol_and_a_day_are_found_by_an_index(market, url):
    load_postgresql(market, url)
    query = "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public_loaded' AND tablename = 'prices'"
    columns = {definition.partition("btree ")[2] for (definition,) in ask(url, query)}
    assert columns == {'("Symbol", "Date")', '("Date")'}


KILLED = """
import os, signal, sys
from pathlib import Path
import pipeline.postgresql as loading

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
loading.load_postgresql(Path(run_dir), url)
"""


@pytest.mark.parametrize("moment", ["copy", "indexed", "exchanged"])
@pytest.mark.parametrize("before", [True, False], ids=["old rows", "nothing yet"])
def test_killed_load_leaves_the_old_rows_and_nothing_else(market, tmp_path, url, moment, before):
    publish_market(tmp_path, days=60)
    if before:
        load_postgresql(market, url)
    killed = subprocess.run([sys.executable, "-c", KILLED, moment, str(tmp_path), url], cwd=ROOT)
    assert killed.returncode == -signal.SIGKILL
    wait_for_end_of_loads(url)
    if before:
        assert count_prices(url) == 40 * len(ODD)
    load_postgresql(tmp_path, url)
    assert count_prices(url) == 60 * len(ODD)
    assert list_schemas(url) == {"public", "public_loaded"}


def wait_for_end_of_loads(url: str) -> None:
    """Until the server has noticed that its client is gone."""
    with postgresql.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(x'6D61726B6574'::bigint)")


def test_readers_see_all_old_or_all_new(tmp_path, url):
    for days in (40, 50):
        publish_market(tmp_path / str(days), days)
    load_postgresql(tmp_path / "40", url)
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
        load_postgresql(tmp_path / str(days), url)
    stop.set()
    for reader in readers:
        reader.join()
    assert set(seen) == {(days * len(ODD), days * len(ODD), days) for days in (40, 50)}


def test_a_transaction_that_began_before_the_load_sees_no_empty_table(market, tmp_path, url, monkeypatch):
    publish_market(tmp_path, days=50)
    load_postgresql(market, url)
    monkeypatch.setattr("pipeline.postgresql.PATIENCE", 1)
    with postgresql.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        cursor.execute("SELECT 1")
        cursor.fetchone()
        with pytest.raises(LockedError, match="has been reading the old rows"):
            load_postgresql(tmp_path, url)
        cursor.execute("SELECT count(*) FROM prices")
        assert cursor.fetchone() == (40 * len(ODD),)


def test_load_waits_for_who_is_reading(market, tmp_path, url, monkeypatch):
    publish_market(tmp_path, days=50)
    load_postgresql(market, url)
    monkeypatch.setattr("pipeline.postgresql.PATIENCE", 1)
    with postgresql.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM prices")
        before = cursor.fetchone()
        with pytest.raises(LockedError, match="has been reading the old rows"):
            load_postgresql(tmp_path, url)
        cursor.execute("SELECT count(*) FROM features")
        assert cursor.fetchone() == before
    load_postgresql(tmp_path, url)
    assert count_prices(url) == 50 * len(ODD)


def test_rights_and_views_of_others_stay_from_load_to_load(market, url):
    load_postgresql(market, url)
    do(
        url,
        "DROP ROLE IF EXISTS analyst",
        "CREATE ROLE analyst",
        "GRANT SELECT ON prices TO analyst",
        'CREATE VIEW last_day AS SELECT max("Date") AS day FROM prices',
    )
    load_postgresql(market, url)
    with postgresql.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute("SET ROLE analyst")
        cursor.execute("SELECT count(*) FROM prices")
        assert cursor.fetchone() == (40 * len(ODD),)
    assert ask(url, "SELECT day FROM last_day") == [(date(2020, 2, 9),)]
    do(url, "DROP OWNED BY analyst", "DROP ROLE analyst")


def test_dataset_that_is_gone_is_gone_from_the_database(market, tmp_path, url):
    publish_market(tmp_path, model=False)
    load_postgresql(market, url)
    assert "metrics" not in load_postgresql(tmp_path, url)
    assert ask(url, "SELECT to_regclass('metrics') IS NULL") == [(True,)]


def test_views_that_somebody_dropped_come_back(market, url):
    load_postgresql(market, url)
    do(url, "DROP VIEW prices, features, symbols, quarantine, metrics")
    load_postgresql(market, url)
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
    load_postgresql(market, f"{url}&options=-csearch_path%3Dtrading")
    assert ask(url, "SELECT count(*) FROM trading.prices") == [(40 * len(ODD),)]


@pytest.mark.parametrize(
    "address", ["postgresql://u:open%20sesame@127.0.0.1:1/x", "postgresql://u:open%20sesame@[bad/x", "mysql://u:open@h"]
)
def test_password_is_never_printed(market, address):
    done = sql("--run-dir", market, DATABASE_URL=address)
    assert done.returncode in (2, 3)
    assert done.stderr.startswith("error: ")
    assert "open" not in done.stdout + done.stderr


def test_missing_driver_is_named(market):
    code = "import sys; sys.modules['adbc_driver_postgresql'] = None; from pipeline.sql import main; sys.exit(main())"
    arguments = ["--run-dir", str(market), "--database-url", "postgresql://h/x"]
    done = subprocess.run([sys.executable, "-c", code, *arguments], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 5
    assert "pip install adbc-driver-postgresql" in done.stderr
