"""The notebooks are tests as well: run alone, too, they share one Spark and draw no bars."""

from tests.conftest import pytest_collection_modifyitems, pytest_configure, pytest_unconfigure

__all__ = ["pytest_collection_modifyitems", "pytest_configure", "pytest_unconfigure"]
