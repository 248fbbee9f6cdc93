"""The published datasets for SQL: views in a DuckDB file of the run folder, or tables in PostgreSQL.

    python -m pipeline.sql --run-dir DIR [--database-url postgresql://USER@HOST/DATABASE]

The file holds no rows, only views over the Parquet parts that each dataset's CURRENT names at the time of a query, so
it need not be made again after a run.
"""

import argparse
import glob
import os
import secrets
import sys
from contextlib import suppress
from pathlib import Path

import duckdb

from pipeline.datasets.run_folder import RunFolder
from pipeline.errors import ParameterError, PipelineError
from pipeline.sql.address import names_postgresql
from pipeline.sql.postgresql import load_postgresql
from pipeline.sql.tables import METRICS, SQL_TYPES, find_published, literal, quote

DATABASE_FILE = "market.duckdb"
VARIABLE = "DATABASE_URL"
OLDEST_DUCKDB = "v1.0.0"  # what has to be able to open the file


def write_views(run: RunFolder) -> Path:
    """Write market.duckdb into the run folder: a view for each dataset that is there. Returns its path.

    The views know the run folder by its full path: when it has moved, write them again. Raises InputError if nothing
    has been published, PipelineError if DuckDB cannot write the file.
    """
    published = find_published(run)
    if not isinstance(run.path, Path):
        raise ParameterError(f"A DuckDB file of views needs a folder, not {run}: load into PostgreSQL instead.")
    path = run.path / DATABASE_FILE
    beside = path.with_name(f".{DATABASE_FILE}-{secrets.token_hex(6)}")
    try:
        with duckdb.connect(beside, config={"storage_compatibility_version": OLDEST_DUCKDB}) as database:
            for table in published:
                home = (run.path / table.dataset).resolve()
                rows = select_metrics(home) if table.schema is METRICS else select_rows(home)
                database.execute(f"CREATE VIEW {quote(table.name)} AS {rows}")
        beside.replace(path)
    except duckdb.Error as error:
        raise PipelineError(f"{path} cannot be written: {error}") from None
    finally:
        with suppress(OSError):  # a folder that may only be read
            beside.unlink()
    return path


def select_rows(home: Path) -> str:
    """A query of the rows that home/CURRENT names at the time of the query.

    The file names that are asked for reach the scan as a filter, so DuckDB opens no part of other versions.
    """
    parts = escape(home, "[0-9]*/*.parquet")
    return f"""
        SELECT * EXCLUDE (filename) FROM read_parquet({parts}, filename = true)
        WHERE filename IN (
            SELECT part.file FROM glob({parts}) AS part, read_text({escape(home, "CURRENT")}) AS pointer
            WHERE starts_with(part.file, {in_version(home)} || '/')
        )"""


def select_metrics(home: Path) -> str:
    """The same of the model's metrics.json, as a row a model."""
    columns = ", ".join(
        f"TRY_CAST(scores ->> '{field.name}' AS {SQL_TYPES[field.type]}) AS {field.name}"
        for field in METRICS
        if field.name not in ("kind", "model", "champion")
    )
    return f"""
        WITH file AS (
            SELECT written.content::JSON AS metrics
            FROM read_text({escape(home, "[0-9]*/metrics.json")}) AS written,
                read_text({escape(home, "CURRENT")}) AS pointer
            WHERE written.filename = {in_version(home)} || '/metrics.json'
        ), kinds AS (
            SELECT kind, metrics -> kind AS result FROM (SELECT unnest(json_keys(metrics)) AS kind, metrics FROM file)
        ), models AS (
            SELECT kind, model, model = (result ->> 'champion') AS champion, result -> 'models' -> model AS scores
            FROM (SELECT kind, unnest(json_keys(result -> 'models')) AS model, result FROM kinds)
        )
        SELECT kind, model, champion, {columns} FROM models"""


def in_version(home: Path) -> str:
    """SQL for the folder of the version that `pointer`, the text of CURRENT, names."""
    return f"{literal(f'{home}/')} || trim(pointer.content, chr(10))"


def escape(home: Path, pattern: str) -> str:
    """SQL text of a pattern below a folder, whose own name is no pattern."""
    return literal(f"{glob.escape(str(home))}/{pattern}")


def find_url(given: str | None) -> str | None:
    """The PostgreSQL to load into: `given`, or what the environment names; None for a file instead.

    The environment may be another program's: a database of another kind is left alone there, with a warning. Raises
    ParameterError where such a one is given.
    """
    url = (os.environ.get(VARIABLE, "") if given is None else given).strip()
    if names_postgresql(url):
        return url
    if given is not None:
        raise ParameterError("--database-url must begin with postgresql://")
    if url:
        what = f"{VARIABLE} in the environment does not begin with postgresql://, so {DATABASE_FILE} is written instead"
        print(f"warning: {what}.", file=sys.stderr)
    return None


def main() -> int:
    parser = argparse.ArgumentParser(description="The published datasets for SQL: in a DuckDB file or in PostgreSQL.")
    parser.add_argument("--run-dir", required=True, metavar="DIR", help="the run folder, or its URL")
    help_url = "postgresql://USER@HOST/DATABASE; a command line is seen by everybody: better in the environment"
    parser.add_argument("--database-url", metavar="URL", help=f"{help_url}, as {VARIABLE}")
    options = parser.parse_args()
    try:
        run = RunFolder(options.run_dir)
        url = find_url(options.database_url)
        if url is None:
            print(write_views(run))
            return 0
        for name, rows in load_postgresql(run, url).items():
            print(f"{name:<12}{rows:>14,} rows")
    except PipelineError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
