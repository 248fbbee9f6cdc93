"""A connection to PostgreSQL, and what is said when it fails."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pipeline.errors import InputError, LockedError, PipelineError, ResourceError
from pipeline.sql.address import hide_secrets, read_address, tell_failure

if TYPE_CHECKING:
    from adbc_driver_postgresql.dbapi import Connection

PATIENCE = 600  # seconds to wait for readers of the old tables
HELD = f"A transaction has been reading the old rows for {PATIENCE} seconds: they are left. Load again after its end."
NOT_AVAILABLE = "55P03"  # PostgreSQL's code for a lock that was not to be had in time


@contextmanager
def open_postgresql(url: str) -> Iterator["Connection"]:
    """A connection that commits each statement. Its errors become PipelineErrors, which show of the URL no more than
    its user and host.
    """
    address, told = read_address(url)
    try:
        from adbc_driver_postgresql import dbapi
    except ModuleNotFoundError:
        raise ResourceError("PostgreSQL needs its driver: pip install adbc-driver-postgresql") from None
    try:
        connection = dbapi.connect(address, autocommit=True)
    except dbapi.Error as error:
        raise InputError(f"PostgreSQL cannot be reached: {tell_failure(str(error), told)}") from None
    try:
        with connection:
            yield connection
    except dbapi.Error as error:
        if error.sqlstate == NOT_AVAILABLE:
            raise LockedError(HELD) from None
        message = hide_secrets(str(error), url)
        raise PipelineError(f"PostgreSQL refused the load, the old tables are left: {message}") from None
