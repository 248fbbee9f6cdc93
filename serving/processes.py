"""How this program starts another part of itself."""

import os
from pathlib import Path

ROOT = Path(__file__).parents[1]


def make_environment(**variables: str) -> dict[str, str]:
    """The environment of this process with some variables more, in which `python -m serving` is found and whole,
    whatever somebody's shell holds: Python may be told to look in no current folder, or to drop docstrings, and the
    description of the API is made of those.
    """
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    found = {**os.environ, **variables, "PYTHONPATH": os.pathsep.join(paths)}
    found.pop("PYTHONOPTIMIZE", None)
    return found
