"""The libraries that compute: another version of one may give other results."""

from functools import cache
from importlib.metadata import PackageNotFoundError, version

LIBRARIES = (
    "pyspark",
    "pyarrow",
    "numpy",
    "pandas",
    "bottleneck",
    "scipy",
    "scikit-learn",
    "xgboost",
    "xgboost-cpu",
    "exchange_calendars",
)


@cache
def read_libraries() -> dict[str, str]:
    """Version of each of LIBRARIES that is installed."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
