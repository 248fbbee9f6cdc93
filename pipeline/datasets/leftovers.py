"""What killed processes and people's hands leave in the folder of a dataset: cleared, restored, pruned.

All of this is for the holder of the run folder alone.
"""

import json
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from pipeline.datasets.files import hash_file
from pipeline.datasets.lock import is_held
from pipeline.datasets.places import Place, is_finished, look_at, remove, replace_pointer
from pipeline.datasets.store import CURRENT, DRAFT_PREFIX, MANIFEST, TIME_FORMAT, VERSION_NAME, find_version
from pipeline.errors import InputError


def clear_leftovers(home: Place, is_left: Callable[[Place], bool]) -> list[Place]:
    """Remove what killed processes left of a dataset: drafts, half-written pointers, a version that never became
    current. Returns what was removed.
    """
    removed = [path for path in list_entries(home) if is_left(path)]
    for path in removed:
        remove(path)
    return removed


def list_entries(home: Place) -> list[Place]:
    """What lies in a dataset's folder, by name; nothing if there is no such folder."""
    return sorted(home.iterdir(), key=lambda path: path.name) if home.is_dir() else []


def is_leftover(path: Path) -> bool:
    """Whether a dataset's entry was never finished, by a process that is gone. What others put there is not ours.

    A version that was written after the current one, and named after the pointer was, was named by a process that
    died before it could replace the pointer. (Who goes back by editing CURRENT makes the pointer newer than all.)
    Without a pointer nobody can tell, so all versions are kept.
    """
    pointer = path.parent / CURRENT
    if path.name.startswith((DRAFT_PREFIX, f".{CURRENT}-")):
        return not is_held(path)
    if not is_version(path) or not pointer.exists():
        return False
    named = datetime.strptime(path.name.split("-")[0], TIME_FORMAT).replace(tzinfo=UTC)
    current = pointer.read_text(errors="replace").strip()
    return path.name > current and named.timestamp() > pointer.stat().st_mtime


def restore_pointer(home: Place) -> str | None:
    """Make the newest whole version current where CURRENT is gone, or names nothing that can be read.

    Returns what was found and done as a sentence, None if all was well.
    """
    seen = look_at(home / CURRENT)
    try:
        if find_version(home) is not None:
            return None
        found = f"{home / CURRENT} named no version"
    except InputError as error:
        found = str(error).split(". The next run")[0]
    versions = list_versions(home)
    whole = next((path for path in reversed(versions) if is_whole(path)), None)
    if whole:
        replace_pointer(home / CURRENT, seen, whole.name + "\n")
        return f"{found}: {whole.name}, the newest whole version, is current again."
    if not versions and not (home / CURRENT).exists():
        return None
    (home / CURRENT).unlink(missing_ok=True)
    return f"{found}, and there is no whole version to go back to: `{home.name}` is made again."


def is_whole(version: Place) -> bool:
    """Whether every file that a version's manifest lists is there with its bytes."""
    with suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
        files = json.loads((version / MANIFEST).read_bytes())["files"]
        return all(hash_file(version / file["name"]) == file["sha256"] for file in files)
    return False


def is_version(path: Place) -> bool:
    return VERSION_NAME.fullmatch(path.name) is not None and path.is_dir() and is_finished(path, MANIFEST)


def list_versions(home: Place) -> list[Place]:
    """The versions of a dataset, oldest first."""
    return [path for path in list_entries(home) if is_version(path)]


def prune_versions(home: Place, keep: int) -> list[Place]:
    """Remove all but the `keep` newest versions of a dataset, and never the current one. Without a pointer none."""
    try:
        current = (home / CURRENT).read_text(errors="replace").strip()
    except FileNotFoundError:
        return []
    removed = [path for path in list_versions(home)[:-keep] if path.name != current]
    for path in removed:
        remove(path)
    return removed
