"""Copies of the published datasets in PostgreSQL.

Rows are loaded and indexed in a schema of their own, and one transaction exchanges all tables: who reads sees all old
rows until then and all new ones from then on. A load that dies leaves the old rows; the next one clears up after it.
"""

import json
import time
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.datasets.places import open_parquet
from pipeline.datasets.run_folder import RunFolder
from pipeline.datasets.store import Version
from pipeline.errors import LockedError, ParameterError
from pipeline.sql.connection import HELD, PATIENCE, open_postgresql
from pipeline.sql.tables import METRICS, SQL_TYPES, TABLES, Table, find_published, literal, quote

if TYPE_CHECKING:
    from adbc_driver_postgresql.dbapi import Cursor

BATCH_ROWS = 65_536
STAGING, LIVE = "_loading", "_loaded"  # the schemas beside the connection's own
LOCK_TIMEOUT = "300ms"  # less than the second after which PostgreSQL takes two that wait for each other for deadlocked
OWN_LOCK = 0x6D61726B6574  # of a load, against a second one in the same database


def load_postgresql(run: RunFolder, url: str) -> dict[str, int]:
    """Load every dataset that is there into PostgreSQL and exchange the old rows for the new ones. Returns the rows
    of each table.

    `prices` and so on are views in the connection's own schema (public, unless the URL says otherwise) of tables in
    the schema beside it that ends in _loaded: what is granted on them, or built on them, stays from load to load.
    Raises InputError if nothing has been published or the server cannot be reached; LockedError, the old rows being
    left, if another load is running or a reader does not let go of them; ParameterError if a name is taken, or if
    the URL can be misunderstood.
    """
    published = find_published(run)
    with open_postgresql(url) as connection, connection.cursor() as cursor:
        take_turn(cursor)
        target = find_target(cursor)
        staging = quote(target + STAGING)
        cursor.execute(f"DROP SCHEMA IF EXISTS {staging} CASCADE")  # a load that was killed left it
        cursor.execute(f"CREATE SCHEMA {staging}")
        loaded = {table.name: load_table(cursor, target, table, version) for table, version in published.items()}
        show_to_everybody(cursor, target, published)
        connection.adbc_connection.set_autocommit(False)
        exchange(cursor, target, published)
        connection.adbc_connection.commit()
    return loaded


def take_turn(cursor: "Cursor") -> None:
    """Keep other loads out of this database for as long as the connection lasts."""
    cursor.execute(f"SELECT pg_try_advisory_lock({OWN_LOCK})")
    if not cursor.fetchone()[0]:
        raise LockedError("Another load is writing to this database. Wait for its end.")


def find_target(cursor: "Cursor") -> str:
    """The schema that unqualified names belong to. Raises ParameterError if it is absent, or holds something else
    under one of the names.
    """
    cursor.execute("SELECT current_schema()")
    (target,) = cursor.fetchone()
    if target is None:
        raise ParameterError("The schema that the connection's search_path names does not exist: create it first.")
    cursor.execute(
        f"SELECT string_agg(table_name, ', ') FROM information_schema.tables "
        f"WHERE table_schema = {literal(target)} AND {is_ours('table_name')} AND NOT EXISTS ("
        f"SELECT FROM information_schema.view_table_usage AS use WHERE use.view_schema = {literal(target)} "
        f"AND use.view_name = tables.table_name AND use.table_schema = {literal(target + LIVE)})"
    )
    (taken,) = cursor.fetchone()
    if taken:
        remedy = "create a schema for the market and add ?options=-csearch_path%3DSCHEMA to the URL"
        raise ParameterError(f"The schema {target} has other tables named {taken}: {remedy}.")
    return str(target)


def load_table(cursor: "Cursor", target: str, table: Table, version: Version) -> int:
    """Create a table in the staging schema, copy the rows into it and index it. Returns their number."""
    schema = target + STAGING
    name = f"{quote(schema)}.{quote(table.name)}"
    columns = [f"{quote(field.name)} {name_type(field)}" for field in table.schema]
    cursor.execute(f"CREATE TABLE {name} ({', '.join(columns)})")
    rows = pa.RecordBatchReader.from_batches(make_plain(table.schema), read_batches(table, version))
    loaded = cursor.adbc_ingest(table.name, rows, mode="append", db_schema_name=schema)
    if table.key:
        cursor.execute(f"ALTER TABLE {name} ADD PRIMARY KEY ({', '.join(map(quote, table.key))})")
    if table.index:
        cursor.execute(f"CREATE INDEX ON {name} ({quote(table.index)})")
    return int(loaded)


def read_batches(table: Table, version: Version) -> Iterator[pa.RecordBatch]:
    """The rows of a version in the table's schema, plain, some thousands at a time."""
    if table.schema is METRICS:
        yield from pa.Table.from_pylist(read_metrics(version), schema=METRICS).to_batches()
    for path in version.files:
        for batch in open_parquet(path).iter_batches(BATCH_ROWS):
            columns = [make_storable(column) for column in batch.columns]
            yield pa.RecordBatch.from_arrays(columns, schema=make_plain(table.schema))


def read_metrics(version: Version) -> list[dict[str, Any]]:
    metrics = json.loads((version.path / "metrics.json").read_text())
    return [
        {"kind": kind, "model": model, "champion": model == result["champion"], **scores}
        for kind, result in metrics.items()
        for model, scores in result["models"].items()
    ]


def make_plain(schema: pa.Schema) -> pa.Schema:
    """The schema with text where it has dictionaries of text."""
    plain = [field.with_type(pa.string()) if pa.types.is_dictionary(field.type) else field for field in schema]
    return pa.schema(plain)


def make_storable(column: pa.Array) -> pa.Array:
    """The column as PostgreSQL can hold it: plain, and with \\x00 for each NUL, which its text cannot contain."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    return pc.replace_substring(column, "\0", "\\x00") if pa.types.is_string(column.type) else column


def show_to_everybody(cursor: "Cursor", target: str, tables: Collection[Table]) -> None:
    """Wait until no transaction is left that began before the rows were there: to it the new tables would be empty.

    VACUUM knows: it marks the pages whose rows are visible to all.
    """
    schema = target + STAGING
    names = ", ".join(f"{quote(schema)}.{quote(table.name)}" for table in tables)
    deadline = time.monotonic() + PATIENCE
    while True:
        cursor.execute(f"VACUUM (ANALYZE) {names}")
        cursor.execute(
            f"SELECT bool_and(relallvisible = relpages) FROM pg_class "
            f"WHERE relnamespace = {literal(quote(schema))}::regnamespace AND relkind = 'r'"
        )
        if cursor.fetchone()[0]:
            return
        if time.monotonic() > deadline:
            raise LockedError(HELD)
        time.sleep(1)


def exchange(cursor: "Cursor", target: str, tables: Collection[Table]) -> None:
    """Point the views at the new tables and drop the old ones, as soon as no reader holds them."""
    staging, live = target + STAGING, target + LIVE
    cursor.execute(
        f"SELECT string_agg(DISTINCT format('%I.%I', view_schema, view_name), ', ') "
        f"FROM information_schema.view_table_usage WHERE view_schema = {literal(target)} "
        f"AND table_schema = {literal(live)} AND {is_ours('view_name')}"
    )
    (present,) = cursor.fetchone()
    if present:
        cursor.execute(wait_for_readers(present))
    for table in TABLES:
        view = f"{quote(target)}.{quote(table.name)}"
        if table in tables and lacks_columns(cursor, target, table):
            cursor.execute(f"DROP VIEW {view}")
        rows = f"SELECT * FROM {quote(staging)}.{quote(table.name)}"
        cursor.execute(f"CREATE OR REPLACE VIEW {view} AS {rows}" if table in tables else f"DROP VIEW IF EXISTS {view}")
    cursor.execute(f"DROP TABLE IF EXISTS {', '.join(f'{quote(live)}.{quote(table.name)}' for table in TABLES)}")
    cursor.execute(f"DROP SCHEMA IF EXISTS {quote(live)}")
    cursor.execute(f"ALTER SCHEMA {quote(staging)} RENAME TO {quote(live)}")


def lacks_columns(cursor: "Cursor", target: str, table: Table) -> bool:
    """Whether the table has lost columns since a view of it was made: PostgreSQL takes none away from a view."""
    cursor.execute(
        f"SELECT column_name FROM information_schema.columns WHERE table_schema = {literal(target)} "
        f"AND table_name = {literal(table.name)} ORDER BY ordinal_position"
    )
    shown = [name for (name,) in cursor.fetchall()]
    return list(table.schema.names[: len(shown)]) != shown


def wait_for_readers(views: str) -> str:
    """SQL that locks the views, and so their tables, against readers, or fails with NOT_AVAILABLE.

    It tries for moments at a time: who waits for a lock makes everybody behind him wait as well.
    """
    return f"""
        DO $$
        DECLARE deadline timestamptz := clock_timestamp() + interval '{PATIENCE} seconds';
        BEGIN
            SET LOCAL lock_timeout = '{LOCK_TIMEOUT}';
            LOOP
                BEGIN
                    LOCK TABLE {views} IN ACCESS EXCLUSIVE MODE;
                    RETURN;
                EXCEPTION WHEN lock_not_available THEN
                    IF clock_timestamp() > deadline THEN RAISE; END IF;
                END;
                PERFORM pg_sleep(1);
            END LOOP;
        END $$"""


def is_ours(column: str) -> str:
    """SQL: whether a column holds the name of one of the tables."""
    return f"{column} IN ({', '.join(literal(table.name) for table in TABLES)})"


def name_type(field: pa.Field) -> str:
    """A field's type in PostgreSQL, for a column's definition."""
    kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
    return SQL_TYPES[kind] + ("" if field.nullable else " NOT NULL")
