"""Paths in an object store: S3 and what speaks like it, Google's and Azure's.

Credentials, the region and another endpoint come from the usual variables of the environment, or from the machine's
role. They never stand in a URL, and no error shown to a person quotes what a store has answered.
"""

import errno
import hashlib
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from fnmatch import fnmatchcase
from functools import cache, partial
from io import SEEK_CUR, SEEK_END, SEEK_SET, BufferedReader, BytesIO, RawIOBase
from stat import S_IFREG
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from pipeline.errors import LockedError, ParameterError, ResourceError
from pipeline.signals import Answer, wait_for

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer
    from obstore import ListResult, ObjectMeta, PutMode
    from obstore.store import AzureStore, GCSStore, S3Store

    type_of_store = AzureStore | GCSStore | S3Store

SCHEMES = ("s3", "gs", "az", "abfss")
URL = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://")
SETTINGS = ("AWS_", "GOOGLE_", "AZURE_")  # variables of the environment that a store's client looks at
INSTALL = "pip install -r deploy/storage/requirements.txt"
ADDRESS = re.compile(r"(?<!\S)\S+://\S*")
LONGEST_CAUSE = 120  # characters
READ_AHEAD = 2**20  # bytes
REQUEST_TIMEOUT = timedelta(seconds=120)  # a large part over a slow line, five MiB at a time


@dataclass(frozen=True)
class ObjectStat:
    """What a store knows of an object, as os.stat_result names it. tag: changes with every put."""

    st_size: int
    st_mtime: float
    tag: str
    st_mode: int = S_IFREG

    @property
    def st_mtime_ns(self) -> int:
        """A number that changes with every put: of the tag, since stores know the time to the second only."""
        return int.from_bytes(hashlib.blake2b(self.tag.encode(), digest_size=7).digest(), "big")


@dataclass(frozen=True, order=True)
class ObjectPath:
    """A name in a store, with those methods of pathlib.Path that the project uses.

    A folder is there as long as a name below it is. An object is there whole or not at all, at every moment. What is
    said of a store that does not answer is a ResourceError; an object that is absent is a FileNotFoundError.
    """

    root: str  # scheme and bucket, for example s3://market
    key: str  # what stands after it, without a slash at its ends; empty for the bucket itself
    folder: bool | None = field(default=None, compare=False, repr=False)  # what a listing said of it, if one has

    def __str__(self) -> str:
        return f"{self.root}/{self.key}".rstrip("/")

    def __truediv__(self, name: str) -> "ObjectPath":
        return ObjectPath(self.root, f"{self.key}/{name}".strip("/"))

    @property
    def name(self) -> str:
        return self.key.rpartition("/")[2]

    @property
    def stem(self) -> str:
        return self.name.rpartition(".")[0] or self.name

    @property
    def parent(self) -> "ObjectPath":
        return ObjectPath(self.root, self.key.rpartition("/")[0])

    def resolve(self) -> Self:
        """Itself: a URL is the same from everywhere."""
        return self

    def expanduser(self) -> Self:
        """Itself: no URL begins with somebody's home."""
        return self

    def read_bytes(self) -> bytes:
        return self.ask(lambda store: store.get(self.key).bytes().to_bytes())

    def read_text(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        return self.read_bytes().decode(encoding, errors)

    def open(self, mode: str = "rb") -> BytesIO:
        """The bytes as a file to read."""
        return BytesIO(self.read_bytes())

    def read_tagged(self) -> "tuple[bytes, PutMode]":
        """The bytes, and what a put has to name to replace exactly these."""

        def read(store: "type_of_store") -> "tuple[bytes, PutMode]":
            got = store.get(self.key)
            known = {name: value for name in ("e_tag", "version") if (value := got.meta.get(name))}
            return got.bytes().to_bytes(), known  # type: ignore[return-value]  # the two are all that it may hold

        return self.ask(read)

    def write_bytes(self, data: "bytes | memoryview", mode: "PutMode" = "overwrite") -> None:
        """Put an object. Raises LockedError if `mode` asks for a state that is no more."""
        whole = None if mode == "overwrite" else False
        try:
            self.ask(lambda store: store.put(self.key, data, mode=mode, use_multipart=whole))
        except FileNotFoundError:
            raise ResourceError(f"{self} cannot be written: there is no {self.root}. Make it first.") from None

    def write_text(self, text: str) -> None:
        self.write_bytes(text.encode())

    def stat(self) -> ObjectStat:
        return to_stat(self.ask(lambda store: store.head(self.key)))

    def exists(self) -> bool:
        return self.is_file() or self.is_dir()

    def is_file(self) -> bool:
        if self.folder is not None:
            return not self.folder
        try:
            return bool(self.key) and self.stat() is not None
        except FileNotFoundError:
            return False

    def is_dir(self) -> bool:
        if self.folder is not None:
            return self.folder
        found = self.list_directly()
        return bool(found["common_prefixes"] or found["objects"])

    def iterdir(self) -> Iterator["ObjectPath"]:
        """What lies directly below: objects and folders."""
        found = self.list_directly()
        for key in found["common_prefixes"]:
            yield ObjectPath(self.root, key.strip("/"), folder=True)
        for path, _ in self.tell(found["objects"]):
            yield path

    def list_files(self) -> "Iterator[tuple[ObjectPath, ObjectStat]]":
        """The objects directly below."""
        yield from self.tell(self.list_directly()["objects"])

    def walk(self) -> "Iterator[tuple[ObjectPath, ObjectStat]]":
        """All objects below, at any depth."""
        for batch in self.ask(lambda store: list(store.list(self.key or None))):
            yield from self.tell(batch)

    def list_directly(self) -> "ListResult[Sequence[ObjectMeta]]":
        return self.ask(lambda store: store.list_with_delimiter(self.key or None))

    def glob(self, pattern: str) -> "Iterator[ObjectPath]":
        """The objects directly below whose name fits a pattern."""
        return (path for path, _ in self.list_files() if fnmatchcase(path.name, pattern))

    def tell(self, entries: "Sequence[ObjectMeta]") -> "Iterator[tuple[ObjectPath, ObjectStat]]":
        for entry in entries:
            if entry["path"] != self.key:  # some programs put an empty object where they mean a folder
                yield ObjectPath(self.root, entry["path"], folder=False), to_stat(entry)

    def open_seekable(self) -> BufferedReader:
        """The object as a file of which a part is fetched when it is read."""
        return BufferedReader(ObjectFile(self), READ_AHEAD)

    def mkdir(self, parents: bool = False, exist_ok: bool = False) -> None:
        """Nothing: a folder is there as soon as there is something in it."""

    def unlink(self, missing_ok: bool = True) -> None:
        """Remove an object; to a store it is no matter if it is absent."""
        self.ask(lambda store: store.delete(self.key))

    def remove_below(self) -> None:
        """Remove all objects below."""
        keys = [path.key for path, _ in self.walk()]
        if keys:
            self.ask(lambda store: store.delete(keys))

    def ask(self, request: "Callable[[type_of_store], Answer]") -> Answer:
        """What a request to the store gives. Raises FileNotFoundError, LockedError or ResourceError."""
        with explain(self):
            return wait_for(partial(request, open_store(self.root)))


class ObjectFile(RawIOBase):
    """An object that is read in ranges."""

    def __init__(self, path: ObjectPath) -> None:
        self.path, self.size, self.at = path, path.stat().st_size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = SEEK_SET) -> int:
        self.at = offset + {SEEK_SET: 0, SEEK_CUR: self.at, SEEK_END: self.size}[whence]
        return self.at

    def readinto(self, buffer: "WriteableBuffer") -> int:
        room = memoryview(buffer).cast("B")
        length = max(0, min(len(room), self.size - self.at))
        if length:
            start, key = self.at, self.path.key
            found = self.path.ask(lambda store: store.get_range(key, start=start, length=length))
            room[:length] = memoryview(found)
        self.at += length
        return length


def to_stat(entry: "ObjectMeta") -> ObjectStat:
    return ObjectStat(entry["size"], entry["last_modified"].timestamp(), entry["e_tag"] or "")


def is_url(text: str) -> bool:
    return URL.match(text) is not None


def parse_url(url: str) -> ObjectPath:
    """The path that a URL names. Raises ParameterError, which quotes nothing that may be a secret."""
    scheme = url.partition("://")[0].lower()
    if scheme not in SCHEMES:
        raise ParameterError(f"{scheme}:// is no kind of storage that is known: {', '.join(SCHEMES)} are, or a folder.")
    parts = urlsplit(url)
    credentials, _, bucket = parts.netloc.rpartition("@")
    if ":" in credentials or (credentials and scheme != "abfss") or parts.query or parts.fragment:
        raise ParameterError(
            f"A {scheme}:// URL is a bucket and a path alone: credentials belong in the environment, "
            "for S3 in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
        )
    if not bucket:
        raise ParameterError(f"A {scheme}:// URL must name a bucket, like {scheme}://bucket/market.")
    return ObjectPath(f"{scheme}://{parts.netloc}", parts.path.strip("/"))


def open_store(root: str) -> "type_of_store":
    """The client of a bucket, for the endpoint and the credentials that the environment names now.

    Raises ResourceError, with the remedy, where it cannot be had.
    """
    settings = {name: value for name, value in os.environ.items() if name.startswith(SETTINGS)}
    for name, value in settings.items():
        if not value.isprintable():
            raise ResourceError(f"{name} holds a line break or the like: set it again without.")
    return make_client(root, frozenset(settings.items()))


@cache
def make_client(root: str, settings: frozenset[tuple[str, str]]) -> "type_of_store":
    """The client, made once for each state of the environment: a kernel may set its credentials after a first try."""
    try:
        from obstore.store import from_url
    except ModuleNotFoundError:
        raise ResourceError(f"{root} is object storage, which needs its client: {INSTALL}") from None
    try:
        # An endpoint that begins with http:// was meant so; without one, no store is asked in clear text.
        return from_url(root, client_options={"allow_http": True, "timeout": REQUEST_TIMEOUT})  # type: ignore[return-value]  # no other kind has one of SCHEMES
    except Exception as error:
        raise ResourceError(f"{root} cannot be used as it is set up: {tell_cause(error)}.") from None


@contextmanager
def explain(path: ObjectPath) -> Iterator[None]:
    """Turn a store's errors into those of the project. Their own text may hold what was signed or sent."""
    try:
        yield
    except FileNotFoundError:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path)) from None
    except Exception as error:
        kind = type(error).__name__
        if not type(error).__module__.startswith("obstore") and kind != "TimeoutError":
            raise
        if kind in ("AlreadyExistsError", "PreconditionError"):
            raise LockedError(f"{path} was replaced by somebody else meanwhile.") from None
        if kind in ("PermissionDeniedError", "UnauthenticatedError"):
            what = f"The store refuses {path} to the credentials of this environment or machine"
            raise ResourceError(f"{what}: give it others, or the right to read and write there.") from None
        remedy = "See that the bucket is there, the network, and the endpoint in the environment; then run again."
        raise ResourceError(f"{path} cannot be reached ({tell_cause(error)}). {remedy}") from None


def tell_cause(error: Exception) -> str:
    """The end of a store's message that says what happened, without addresses: they may be signed."""
    first = next(iter(str(error).splitlines()), "").partition("<")[0]
    cause = first.rpartition(" - ")[2] or first
    return ADDRESS.sub("", cause).strip(" :.")[:LONGEST_CAUSE] or type(error).__name__
