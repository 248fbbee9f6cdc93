"""One store of each kind for the whole test run; each test works under a prefix of its own."""

import os
import secrets
import shutil
from collections.abc import Iterator

import pytest

from tests.storage.stores import Store, start_azure, start_s3
from tests.update.conftest import days, open_market, real_bars  # noqa: F401  fixtures of the tests of updates


@pytest.fixture(scope="session")
def s3_store() -> Iterator[Store]:
    with start_s3() as started:
        yield started


@pytest.fixture(scope="session")
def azure_store() -> Iterator[Store]:
    if not shutil.which("npm"):
        pytest.skip("needs npm, which installs Azurite")
    with start_azure() as started:
        yield started


@pytest.fixture
def store(s3_store) -> Store:
    """The store that a test works on, unless its module says otherwise."""
    return s3_store


@pytest.fixture
def variables(store, monkeypatch) -> dict[str, str]:
    """The variables by which the store is found, which stand in this environment as well."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "GOOGLE_", "AZURE_"))]:
        monkeypatch.delenv(name)
    for name, value in store.variables.items():
        monkeypatch.setenv(name, value)
    return store.variables


@pytest.fixture
def url(variables, store) -> str:
    """A URL under which nothing is yet."""
    return f"{store.root}/{secrets.token_hex(6)}"
