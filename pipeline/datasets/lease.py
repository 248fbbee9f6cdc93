"""One at a time: a place that is changed file by file is held by one process alone, on whatever machine.

In a folder that is a lock, which the system gives back when its holder dies. In a store it is a small object that says
who is at work and since when. Its holder puts it anew each minute. One that nobody has put anew for five minutes is of
somebody who is gone: the next one takes it over. The store's own clock tells its age, since those of machines differ.
On the machine of a holder who died nobody has to wait: there is a lock beside, which he holds no more.
"""

import json
import os
import secrets
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Thread
from typing import IO

from pipeline.datasets.lock import open_lock, try_lock
from pipeline.datasets.objects import ObjectPath
from pipeline.datasets.places import Place, look_at, read_clock, replace_pointer
from pipeline.datasets.scratch import find_scratch, make_scratch
from pipeline.errors import LockedError, ResourceError
from pipeline.signals import PATIENCE

LIFETIME = 300.0  # seconds without a sign after which its holder is taken for gone
RENEWAL = 60.0  # seconds between two signs
Refuse = Callable[[str], str]
FREE = ""  # what the object holds while nobody is at work
LONGEST_NAME = 100  # characters


@contextmanager
def hold_alone(path: Place, refuse: Refuse) -> Iterator[Callable[[], None]]:
    """Hold what the lock or the object `path` stands for. Yields what raises LockedError once it was lost. refuse: what
    to say where another process holds it, whose name is given to it, or "" where that is not known.

    Raises LockedError in that case.
    """
    if isinstance(path, Path):
        with lock_here(path, refuse):
            yield keep
        return
    with lock_here(find_lock(path), refuse) as lock, Lease(path, refuse, name_machine(lock)).hold() as check:
        yield check


def keep() -> None:
    """Nothing: a lock of this machine is never lost."""


def find_lock(path: ObjectPath) -> Path:
    """The lock on this machine that goes with an object."""
    folder = find_scratch(path)
    make_scratch(folder)
    return folder / "lock"


@contextmanager
def lock_here(path: Path, refuse: Refuse) -> Iterator[IO[str]]:
    with open_lock(path) as lock:
        if not try_lock(lock):
            raise LockedError(refuse(""))
        yield lock


def name_machine(lock: IO[str]) -> str:
    """What stands in a lock file that this process holds: a name that no other such file has."""
    name = lock.read()
    if not name:
        name = secrets.token_hex(8)
        lock.write(name)
        lock.flush()
    return name


@dataclass(frozen=True)
class Claim:
    """What the object says: who holds it, on which machine, since when, and when he last gave a sign, by his clock."""

    holder: str
    since: str
    machine: str
    token: str
    sign: str

    def __str__(self) -> str:
        shown = f"{self.holder}, since {self.since}"
        return "".join(filter(str.isprintable, shown))[:LONGEST_NAME]


def read_claim(data: bytes | None) -> Claim | None:
    """Who holds it, None if nobody does. What cannot be read is somebody's as well."""
    if data is None or data == FREE.encode():
        return None
    with suppress(ValueError, TypeError, RecursionError):
        claim = Claim(**json.loads(data))
        if all(isinstance(value, str) for value in asdict(claim).values()):
            return claim
    return Claim("somebody", "a time that cannot be read", "", "", "")


@dataclass
class Lease:
    """A claim on an object, by this process."""

    path: ObjectPath
    refuse: Refuse
    machine: str
    token: str = field(default_factory=lambda: secrets.token_hex(8))
    since: datetime = field(default_factory=lambda: datetime.now(UTC))
    lost: str = ""

    @contextmanager
    def hold(self) -> Iterator[Callable[[], None]]:
        self.take()
        over = Event()
        signs = Thread(target=self.give_signs, args=(over,), daemon=True)
        signs.start()
        try:
            yield self.check
        finally:
            over.set()
            signs.join(PATIENCE)  # which waits as well where the store does not answer
            with suppress(LockedError, ResourceError):
                self.replace(FREE)

    def take(self) -> None:
        """Raises LockedError if another is at work."""
        seen = look_at(self.path)
        claim = read_claim(seen.data)
        if claim and claim.machine != self.machine and not self.is_old():
            raise LockedError(self.refuse(str(claim)))
        try:
            replace_pointer(self.path, seen, self.describe())
        except LockedError:
            raise LockedError(self.refuse("")) from None

    def is_old(self) -> bool:
        """Whether the object's holder has given no sign for too long, by the store's clock."""
        try:
            last = self.path.stat().st_mtime
        except FileNotFoundError:
            return True
        return read_clock(self.path.parent) - last > LIFETIME

    def describe(self) -> str:
        """The claim as it is put, which differs from the one before."""
        holder = f"process {os.getpid()} on {socket.gethostname()}"
        since, sign = f"{self.since:%Y-%m-%d %H:%M} UTC", datetime.now(UTC).isoformat()
        return json.dumps(asdict(Claim(holder, since, self.machine, self.token, sign)))

    def replace(self, text: str) -> None:
        """Put the object, which must still hold this claim. Raises LockedError otherwise."""
        seen = look_at(self.path)
        claim = read_claim(seen.data)
        if claim is None or claim.token != self.token:
            raise LockedError(self.refuse(str(claim or "")))
        replace_pointer(self.path, seen, text)

    def give_signs(self, over: Event) -> None:
        while not over.wait(RENEWAL):
            try:
                self.replace(self.describe())
            except LockedError as error:
                self.lost = str(error)
                return
            except ResourceError:
                continue  # the store is away: it may be back in a minute

    def check(self) -> None:
        """Raises LockedError if another process has taken over, since this one gave no sign for long."""
        if self.lost:
            raise LockedError(self.lost)
