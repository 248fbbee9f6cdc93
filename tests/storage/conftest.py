"""One store that speaks S3 for the whole test run; each test works under a prefix of its own."""

import os
import secrets
from collections.abc import Iterator

import pytest

from tests.storage.stores import BUCKET, start_s3


@pytest.fixture(scope="session")
def s3() -> Iterator[dict[str, str]]:
    with start_s3() as variables:
        yield variables


@pytest.fixture
def url(s3, monkeypatch) -> str:
    """A URL under which nothing is yet. The environment knows how to get there."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "GOOGLE_", "AZURE_"))]:
        monkeypatch.delenv(name)
    for name, value in s3.items():
        monkeypatch.setenv(name, value)
    return f"s3://{BUCKET}/{secrets.token_hex(6)}"
