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
from datetime import UTC, datetime
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from pipeline.datasets.lock import hold_draft, is_held, publish_right
from pipeline.datasets.parts import Written
from pipeline.errors import InputError
from pipeline.stages import STAGES

DRAFT_PREFIX = ".draft-"
TIME_FORMAT = "%Y%m%dT%H%M%S%f"
VERSION_NAME = re.compile(r"\d{8}T\d{12}-[0-9a-f]{8}")
MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Version:
    """A published version of a dataset. Its folder may be read for as long as the version is kept."""

    dataset: str
    path: Path

    @cached_property
    def manifest(self) -> dict[str, Any]:
        return json.loads((self.path / MANIFEST).read_text())

    @property
    def id(self) -> str:
        """A hash of the content: equal data, schema, parameters and inputs have equal ids."""
        return self.manifest["version"]

    @property
    def rows(self) -> int:
        return self.manifest["rows"]

    def read(self, spark: SparkSession) -> DataFrame:
        """The rows as a Spark DataFrame."""
        return spark.read.option("pathGlobFilter", "*.parquet").parquet(str(self.path.resolve()))

    @property
    def files(self) -> list[Path]:
        """The Parquet parts, in order."""
        return [self.path / file["name"] for file in self.manifest["files"] if file["name"].endswith(".parquet")]


@dataclass(eq=False)
class Draft:
    """A version in the making. Write files into `path`, then publish."""

    run_dir: Path
    dataset: str
    path: Path

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
        manifest["version"] = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()[:16]
        write_atomically(self.path / MANIFEST, json.dumps(manifest, indent=1) + "\n")
        for file in files:  # else a loss of power may leave a pointer to parts that never reached the disk
            flush(self.path / file["name"])
        name = f"{datetime.now(UTC).strftime(TIME_FORMAT)}-{manifest['version'][:8]}"
        home = self.path.parent
        with publish_right(self.run_dir):
            self.path.rename(home / name)
            write_atomically(home / "CURRENT", name + "\n")
        return Version(self.dataset, home / name)


def open_draft(run_dir: Path | str, dataset: str) -> Draft:
    """A folder to write a new version into. It is removed with the draft, or at the process's end, unless it is
    published. As long as the process lives, nobody takes it for a leftover.
    """
    path = Path(run_dir).resolve() / dataset / f"{DRAFT_PREFIX}{secrets.token_hex(6)}"
    path.mkdir(parents=True)
    draft = Draft(Path(run_dir), dataset, path)
    weakref.finalize(draft, discard, path, hold_draft(path))
    return draft


def discard(path: Path, held: int) -> None:
    shutil.rmtree(path, ignore_errors=True)  # nothing is there any more if it was published
    os.close(held)


def current_version(run_dir: Path | str, dataset: str) -> Version:
    """The version that CURRENT names. Raises InputError, which names the notebook to run, where there is none."""
    home = Path(run_dir) / dataset
    try:
        version = Version(dataset, home / (home / "CURRENT").read_text().strip())
        version.manifest  # noqa: B018  a version is there when its manifest is
    except FileNotFoundError:
        notebook = next((stage.notebook for stage in STAGES if dataset in stage.writes), "the notebook that makes it")
        raise InputError(f"There is no `{dataset}` in {run_dir} yet: run notebooks/{notebook} first.") from None
    return version


def clear_leftovers(run_dir: Path | str) -> list[Path]:
    """Remove what killed processes left: drafts, half-written pointers, versions that never became current.

    Only for the holder of the run folder. Returns what was removed.
    """
    datasets = {dataset for stage in STAGES for dataset in stage.writes}
    homes = [home for dataset in sorted(datasets) if (home := Path(run_dir) / dataset).is_dir()]
    removed = [path for home in homes for path in sorted(home.iterdir()) if is_leftover(path)]
    for path in removed:
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    return removed


def is_leftover(path: Path) -> bool:
    """Whether a dataset's entry was never finished, by a process that is gone. What others put there is not ours.

    A version's name begins with the moment before the pointer was replaced. One that is later than the pointer itself
    was renamed by a process that died before the replacement. (Who goes back by editing CURRENT makes the pointer
    newer than all.)
    """
    pointer = path.parent / "CURRENT"
    if path.name.startswith((DRAFT_PREFIX, f".{pointer.name}-")):
        return not is_held(path)
    if not is_version(path):
        return False
    if not pointer.exists():
        return True
    named = datetime.strptime(path.name.split("-")[0], TIME_FORMAT).replace(tzinfo=UTC)
    return path.name != pointer.read_text().strip() and named.timestamp() > pointer.stat().st_mtime


def is_version(path: Path) -> bool:
    return path.is_dir() and VERSION_NAME.fullmatch(path.name) is not None


def prune_versions(run_dir: Path | str, keep: int) -> list[Path]:
    """Remove all but the `keep` newest versions of each dataset, and never the current one."""
    removed = []
    for pointer in sorted(Path(run_dir).glob("*/CURRENT")):
        current = pointer.read_text().strip()
        versions = sorted(filter(is_version, pointer.parent.iterdir()))
        for path in versions[:-keep]:
            if path.name != current:
                shutil.rmtree(path)
                removed.append(path)
    return removed


@cache
def hash_code() -> str:
    """The version of the code that makes the data: a hash of all of pipeline/."""
    package = Path(__file__).parents[1]
    code = hashlib.sha256()
    for file in sorted(package.rglob("*.py")):
        code.update(file.relative_to(package).as_posix().encode() + file.read_bytes())
    return code.hexdigest()[:16]


def hash_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def flush(path: Path) -> None:
    """Wait until a file's bytes are on the disk."""
    with path.open("r+b") as file:
        os.fsync(file.fileno())


def write_atomically(path: Path, text: str) -> None:
    """Write a small file so that a reader sees the old text or the new one, never a part."""
    beside = path.with_name(f".{path.name}-{secrets.token_hex(6)}")
    with beside.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
