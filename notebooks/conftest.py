"""The notebooks are tests as well: also when they are run alone, they share one Spark, and no bar is drawn."""

from tests.conftest import pytest_collection_modifyitems, pytest_configure, pytest_unconfigure

__all__ = ["pytest_collection_modifyitems", "pytest_configure", "pytest_unconfigure"]
