"""A run folder in an object store: what of it a server needs, fetched into a folder of this machine."""

import json
import os
import re
import shutil
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from serving.errors import StorageError, UnreadableError

if TYPE_CHECKING:
    from obstore import GetOptions
    from obstore.store import AzureStore, GCSStore, S3Store

URL = re.compile(r"(s3|gs|az|abfss)://")
ADDRESS = re.compile(r"(?<!\S)\S+://\S*")
LONGEST_CAUSE = 120  # characters
INSTALL = "pip install -r deploy/storage/requirements.txt"
KEPT = 2  # versions: whoever has just read the name of the one before still finds it


def is_url(run_dir: Path | str) -> bool:
    return isinstance(run_dir, str) and URL.match(run_dir) is not None


class RemoteRun:
    """The model of a run folder in a store. folder: where it is fetched to, laid out like a run folder.

    Credentials and the endpoint come from the environment or the machine's role. Only names and bytes are copied here;
    whether they are a whole model is for those to judge who load it.
    """

    def __init__(self, url: str, folder: Path) -> None:
        """Raises StorageError without the library, or for a URL that cannot be one."""
        self.url = url.rstrip("/")
        self.home = folder / "model"
        self.tag: str | None = None  # of CURRENT, as it was fetched last
        self.store = open_store(self.url)

    def fetch(self) -> None:
        """Fetch the current version if it is another than before: one small request where it is not.

        Raises UnreadableError if that cannot be done now; what was fetched before is left.
        """
        options: GetOptions = {"if_none_match": self.tag} if self.tag else {}
        try:
            got = self.store.get("model/CURRENT", options=options)
            pointer, tag = got.bytes().to_bytes(), got.meta["e_tag"]
            name = pointer.decode(errors="replace").strip()
            if name and Path(name).name == name:
                self.fetch_version(name)
        except FileNotFoundError:
            raise UnreadableError(f"There is no model in {self.url}, or it has just been removed.") from None
        except Exception as error:
            if type(error).__name__ == "NotModifiedError":
                return
            raise UnreadableError(f"{self.url} cannot be read ({tell_cause(error)}).") from None
        write_whole(self.home / "CURRENT", pointer)
        self.tag = tag
        self.remove_old(name)

    def fetch_version(self, name: str) -> None:
        """Fetch the files of a version. It is there when all of them are."""
        folder, beside = self.home / name, self.home / f".{name}"
        if folder.exists():
            return
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(parents=True)
        manifest = self.store.get(f"model/{name}/manifest.json").bytes().to_bytes()
        for listed in list_files(manifest):
            (beside / listed).write_bytes(self.store.get(f"model/{name}/{listed}").bytes().to_bytes())
        (beside / "manifest.json").write_bytes(manifest)
        beside.rename(folder)

    def remove_old(self, current: str) -> None:
        others = [path for path in self.home.iterdir() if path.is_dir() and path.name != current]
        for path in sorted(others, key=lambda path: path.stat().st_mtime)[: 1 - KEPT]:
            shutil.rmtree(path, ignore_errors=True)


def list_files(manifest: bytes) -> list[str]:
    """The names of the files in a manifest; none if it is damaged, which whoever loads it will say."""
    with suppress(ValueError, LookupError, TypeError, RecursionError):
        names = [file["name"] for file in json.loads(manifest)["files"]]
        return [name for name in names if isinstance(name, str) and Path(name).name == name != "manifest.json"]
    return []


def open_store(url: str) -> "AzureStore | GCSStore | S3Store":
    """The client. Raises StorageError, which quotes nothing that may be a secret, where it cannot be had."""
    parts = urlsplit(url)
    credentials = parts.netloc.rpartition("@")[0]
    if ":" in credentials or (credentials and parts.scheme != "abfss") or parts.query or parts.fragment:
        raise StorageError("The run folder's URL is a bucket and a path alone: credentials belong in the environment.")
    try:
        from obstore.store import from_url
    except ModuleNotFoundError:
        raise StorageError(f"{url} is object storage, which needs its client: {INSTALL}") from None
    for name, value in os.environ.items():
        if name.startswith(("AWS_", "GOOGLE_", "AZURE_")) and not value.isprintable():
            raise StorageError(f"{name} holds a line break or the like: set it again without.")
    try:
        return from_url(  # type: ignore[return-value]  # no other kind has one of these schemes
            url,
            client_options={"allow_http": True, "timeout": timedelta(seconds=30)},
            retry_config={"max_retries": 2, "retry_timeout": timedelta(seconds=10)},
        )
    except Exception as error:
        raise StorageError(f"The run folder's URL cannot be used: {tell_cause(error)}.") from None


def tell_cause(error: Exception) -> str:
    """The end of a store's message that says what happened, without addresses, which may be signed."""
    if type(error).__name__ in ("PermissionDeniedError", "UnauthenticatedError"):
        return "the store refuses the credentials of this environment or machine"
    first = next(iter(str(error).splitlines()), "").partition("<")[0]
    cause = first.rpartition(" - ")[2] or first
    return ADDRESS.sub("", cause).strip(" :.")[:LONGEST_CAUSE] or type(error).__name__


def write_whole(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}")
    beside.write_bytes(data)
    beside.replace(path)
