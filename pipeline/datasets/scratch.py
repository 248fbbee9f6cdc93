"""Folders on this machine for what belongs to a place in a store and stays here: locks, small drafts, records."""

import hashlib
import os
import tempfile
from pathlib import Path

from pipeline.datasets.objects import ObjectPath
from pipeline.errors import ResourceError


def find_scratch(path: ObjectPath) -> Path:
    """The folder of a place, below the one for temporary files."""
    name = hashlib.sha256(str(path).encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"market-runs-{os.getuid()}" / name


def make_scratch(folder: Path) -> None:
    """Make such a folder, for nobody else to look into. Raises ResourceError if it is not ours."""
    home = folder.parent
    home.mkdir(mode=0o700, exist_ok=True)
    if home.stat().st_uid != os.getuid():
        raise ResourceError(f"{home} belongs to somebody else: set TMPDIR to a folder of your own.")
    folder.mkdir(exist_ok=True)
