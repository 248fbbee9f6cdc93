"""Versions of a dataset in a run folder: written beside the current one, made current by one atomic replacement.

<run>/<dataset>/CURRENT          the name of the current version, a line of text
<run>/<dataset>/<name>/          a version: its files and manifest.json; never changed once it is there
<run>/<dataset>/.draft-<name>/   a version in the making; left over only by a killed process
"""

import hashlib
import json
import os
import re
import secrets
import shutil
import weakref
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from pipeline.datasets.files import flush, hash_code, hash_file, write_atomically
from pipeline.datasets.frames import read_frame
from pipeline.datasets.lock import hold_draft, publish_right
from pipeline.datasets.parts import Written, name_part
from pipeline.datasets.places import Place
from pipeline.errors import InputError

DRAFT_PREFIX = ".draft-"
TIME_FORMAT = "%Y%m%dT%H%M%S%f"
TIME = re.compile(r"\d{8}T\d{12}")
VERSION_NAME = re.compile(TIME.pattern + "-[0-9a-f]{8}")
MANIFEST = "manifest.json"
CURRENT = "CURRENT"


@dataclass(frozen=True)
class Version:
    """A published version of a dataset. Its folder may be read for as long as the version is kept."""

    dataset: str
    path: Place

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """Raises FileNotFoundError where there is none, InputError where it is damaged."""
        path = self.path / MANIFEST
        try:
            manifest = json.loads(path.read_bytes())
        except (ValueError, RecursionError) as error:
            raise InputError(describe_damage(path, str(error))) from None
        if not isinstance(manifest, dict) or not {"version", "rows", "files", "inputs"} <= manifest.keys():
            raise InputError(describe_damage(path, "it is no manifest"))
        return manifest

    @property
    def id(self) -> str:
        """A hash of the content: equal data, schema, parameters and inputs have equal ids."""
        return str(self.manifest["version"])

    @property
    def rows(self) -> int:
        return int(self.manifest["rows"])

    def read(self, spark: SparkSession) -> DataFrame:
        """The rows as a Spark DataFrame."""
        return read_frame(spark, self.path, [file.name for file in self.files])

    @property
    def files(self) -> list[Place]:
        """The Parquet parts, in order; places.read_table reads one."""
        return [self.path / file["name"] for file in self.manifest["files"] if file["name"].endswith(".parquet")]


@dataclass(eq=False)
class Draft:
    """A version in the making. Write files into `path`, then publish.

    path: a folder on this machine. attempts: where tasks write their parts, on whichever machine they run.
    """

    run_dir: Path
    dataset: str
    path: Path
    attempts: Place

    @property
    def progress(self) -> Place:
        """Where tasks note how far they are."""
        return self.path.parent / f"{self.path.name}-progress"

    def read(self, spark: SparkSession, parts: Iterable[Written]) -> DataFrame:
        """The rows of parts that tasks have written, before they are published."""
        return read_frame(spark, self.attempts, [part.name for part in parts])

    def publish(
        self,
        parts: Iterable[Written] = (),
        *,
        parameters: Mapping[str, Any],
        inputs: Mapping[str, str],
        schema: pa.Schema | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> Version:
        """Write the manifest, give the folder its name, and make it current.

        parts: the Parquet files, in order; any other file in the folder is listed after them. inputs: dataset or
        source -> id of its version. The manifest holds no clock and no path: equal content gives equal bytes. Raises
        LockedError, and leaves the old version current, if the process has no right to publish.
        """
        files = [asdict(part) for part in parts]
        listed = {file["name"] for file in files} | {MANIFEST}  # there is one if it was refused the first time
        for stray in self.path.glob(".*"):  # what an attempt wrote after Spark had stopped waiting for it
            stray.unlink()
        others = [path for path in sorted(self.path.iterdir()) if path.name not in listed]
        files += [{"name": path.name, "bytes": path.stat().st_size, "sha256": hash_file(path)} for path in others]
        manifest = {
            "dataset": self.dataset,
            "rows": sum(file.get("rows", 0) for file in files),
            "schema": {name: str(kind) for name, kind in zip(schema.names, schema.types, strict=True)}
            if schema
            else {},
            "parameters": dict(parameters),
            "inputs": dict(inputs),
            "code": hash_code(),
            **(extra or {}),
            "files": files,
        }
        manifest["version"] = identify(manifest)
        write_atomically(self.path / MANIFEST, json.dumps(manifest, indent=1) + "\n")
        return Version(self.dataset, self.commit(manifest))

    def commit(self, manifest: Mapping[str, Any]) -> Place:
        """Make the draft a version, and current. Returns its folder."""
        for file in manifest["files"]:  # else a loss of power may leave a pointer to parts that never reached the disk
            flush(self.path / file["name"])
        home = self.path.parent
        with publish_right(self.run_dir):
            name = f"{next_time(home)}-{manifest['version'][:8]}"
            self.path.rename(home / name)
            write_atomically(home / CURRENT, name + "\n")
        return home / name


def identify(manifest: Mapping[str, Any]) -> str:
    """A hash of the content: where parts keep other names, as in an object store, it is the same."""
    names = {file["name"]: name_part(number) for number, file in enumerate(manifest["files"]) if "rows" in file}
    files = [{**file, "name": names.get(file["name"], file["name"])} for file in manifest["files"]]
    content = json.dumps({**manifest, "files": files}, sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def open_draft(run_dir: Path, dataset: str) -> Draft:
    """A folder to write a new version into. It is removed with the draft, or at the process's end, unless it is
    published. As long as the process lives, nobody takes it for a leftover.
    """
    path = run_dir.resolve() / dataset / f"{DRAFT_PREFIX}{secrets.token_hex(6)}"
    path.mkdir(parents=True)
    draft = Draft(run_dir, dataset, path, path)
    weakref.finalize(draft, discard, path, hold_draft(path))
    return draft


def discard(path: Path, held: int) -> None:
    shutil.rmtree(path, ignore_errors=True)  # nothing is there any more if it was published
    os.close(held)


def find_version(home: Place) -> Version | None:
    """The version of a dataset that CURRENT names; None where there is none. Raises InputError for one that cannot be
    read.
    """
    try:
        name = (home / CURRENT).read_bytes().decode(errors="replace").strip()
        if not VERSION_NAME.fullmatch(name):
            raise InputError(describe_damage(home / CURRENT, f"{name[:40]!r} is no version"))
        version = Version(home.name, home / name)
        version.manifest  # noqa: B018  a version is there when its manifest is
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InputError(describe_damage(home, error.strerror or str(error))) from error
    return version


def describe_damage(path: Place, why: str) -> str:
    return f"{path} cannot be read ({why}). The next run of run_all.py goes back to the newest version that is whole."


def next_time(home: Place) -> str:
    """The time now as a name; later than each name in `home` also where the clock was set back since, so that the
    order of names is the order of writing.
    """
    now = datetime.now(UTC).strftime(TIME_FORMAT)
    latest = max((found[0] for path in home.iterdir() if (found := TIME.match(path.name))), default="")
    if latest < now:
        return now
    return (datetime.strptime(latest, TIME_FORMAT) + timedelta(microseconds=1)).strftime(TIME_FORMAT)
