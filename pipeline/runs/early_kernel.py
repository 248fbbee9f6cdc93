"""A kernel that loads libraries before it is told where to listen: python -m pipeline.runs.early_kernel

All of its standard input is the name of its connection file. If nothing comes, it ends: the run is gone.
"""

import sys
from contextlib import suppress
from importlib import import_module
from pathlib import Path

LIBRARIES = (  # what most notebooks begin with, and what takes longest
    "ipykernel.kernelapp",
    "matplotlib.pyplot",
    "pandas",
    "pyarrow.parquet",
    "pyspark.sql.connect.session",
    "pyspark.sql.connect.functions",
)


def main() -> None:
    if sys.path[0] in ("", str(Path.cwd())):
        del sys.path[0]  # files beside the notebooks hide no library
    for name in LIBRARIES:
        with suppress(Exception):  # whatever is wrong with a library, the notebook that needs it says it
            import_module(name)
    if place := sys.stdin.read():
        from ipykernel.kernelapp import launch_new_instance

        # The kernel talks over loopback, and would warn of it.
        launch_new_instance(["-f", place, "--log-level=ERROR"])


if __name__ == "__main__":
    main()
