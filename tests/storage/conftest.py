"""One store that speaks S3 for the whole test run; each test works under a prefix of its own."""

import os
import secrets
from collections.abc import Iterator

import pytest

from tests.storage.stores import BUCKET, Store, start_s3


@pytest.fixture(scope="session")
def store() -> Iterator[Store]:
    with start_s3() as started:
        yield started


@pytest.fixture
def s3(store, monkeypatch) -> dict[str, str]:
    """The variables by which the store is found, which stand in this environment as well."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "GOOGLE_", "AZURE_"))]:
        monkeypatch.delenv(name)
    for name, value in store.variables.items():
        monkeypatch.setenv(name, value)
    return store.variables


@pytest.fixture
def url(s3) -> str:
    """A URL under which nothing is yet."""
    return f"s3://{BUCKET}/{secrets.token_hex(6)}"
