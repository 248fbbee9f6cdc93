"""The market that the tests of SQL ask, published once for each file of tests."""

from pathlib import Path

import pytest
from small_market import publish_market


@pytest.fixture(scope="module")
def market(tmp_path_factory) -> Path:
    run_dir = tmp_path_factory.mktemp("market")
    publish_market(run_dir)
    return run_dir
