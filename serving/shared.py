"""What several processes of a server know in common: counters, numbers of connections, and how often visitors asked.

One small file, mapped into the memory of each. Each process counts in a place of its own, which it holds by a lock on
one byte of the file; a process that dies gives up the lock, and its successor counts on where it ended.
"""

import contextlib
import hashlib
import mmap
import os
import tempfile
import threading
import time
from bisect import bisect_left
from collections.abc import Iterator
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows, where there is one process only
    fcntl = None  # type: ignore[assignment]

STATUSES = (
    "200", "204", "303", "304", "308", "400", "401", "403", "404", "405", "406", "408", "411", "413", "414", "415",
    "417", "422", "429", "431", "500", "501", "503", "505", "other",
)  # fmt: skip
SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
PLACES = 64  # processes that can count at once
WIDTH = len(STATUSES) + len(SECONDS) + 3  # numbers of a place: by status, by time; slower ones, their sum, connections
SLOWER, SUM, CONNECTIONS = (len(STATUSES) + len(SECONDS) + at for at in range(3))
VISITORS, WAYS, FIELDS = (
    1024,
    4,
    4,
)  # rows of the table of visitors; entries of a row; hash, minute, count, count before
SIZE = 8 * (PLACES * WIDTH + VISITORS * WAYS * FIELDS)
INDEX = {status: at for at, status in enumerate(STATUSES)}


class Shared:
    """The numbers of one server, for each of its processes. A process that is forked takes a place of its own."""

    def __init__(self, descriptor: int | None = None) -> None:
        """descriptor: of the file; None for one that only this process and those it forks know."""
        self.descriptor = make_file() if descriptor is None else descriptor
        if os.fstat(self.descriptor).st_size < SIZE:
            os.ftruncate(self.descriptor, SIZE)
        self.numbers = memoryview(mmap.mmap(self.descriptor, SIZE)).cast("d")
        self.start = 0
        self.owner = 0  # the process that holds the place
        self.lock = threading.Lock()

    # Counters

    def count(self, status: str, seconds: float) -> None:
        """An answer was given."""
        with self.lock:
            if self.owner != os.getpid():
                self.take_place()
            start = self.start
            self.numbers[start + INDEX.get(status, INDEX["other"])] += 1
            self.numbers[start + len(STATUSES) + bisect_left(SECONDS, seconds)] += 1
            self.numbers[start + SUM] += seconds

    def take_place(self) -> None:
        """Take the first place that no living process holds; the last one is for all that find none."""
        for place in range(PLACES):
            self.start = place * WIDTH
            if fcntl is None:
                break
            with contextlib.suppress(OSError):
                fcntl.lockf(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
                break
        self.owner = os.getpid()
        self.numbers[self.start + CONNECTIONS] = 0

    def total(self, at: int) -> float:
        return sum(self.numbers[at : PLACES * WIDTH : WIDTH])

    def expose(self) -> str:
        """The sums in the text format of Prometheus."""
        lines = ["# HELP http_requests_total Answers by status", "# TYPE http_requests_total counter"]
        for at, status in enumerate(STATUSES):
            if self.total(at):
                lines.append(f'http_requests_total{{status="{status}"}} {self.total(at)}')
        lines += ["# HELP http_request_seconds Time to answer", "# TYPE http_request_seconds histogram"]
        below = 0.0
        for at, limit in enumerate((*SECONDS, "+Inf"), len(STATUSES)):
            below += self.total(at)
            lines.append(f'http_request_seconds_bucket{{le="{limit}"}} {below}')
        lines += [f"http_request_seconds_count {below}", f"http_request_seconds_sum {self.total(SUM)}"]
        lines += ["# HELP http_connections Connections that are open", "# TYPE http_connections gauge"]
        lines += [f"http_connections {self.total(CONNECTIONS)}"]
        return "\n".join(lines) + "\n"

    # Connections

    def set_connections(self, number: int) -> None:
        with self.lock:
            if self.owner != os.getpid():
                self.take_place()
            self.numbers[self.start + CONNECTIONS] = number

    def count_connections(self) -> float:
        """Of all processes."""
        return self.total(CONNECTIONS)

    # Visitors

    def hit(self, visitor: str, most: int, window: float = 60.0) -> float:
        """Count a request of a visitor. Returns 0.0 if it is within `most` in any `window` seconds, else the seconds
        until it may ask again.

        The count of the window before weighs with the part of it that the last `window` seconds still hold.
        """
        digest = hashlib.blake2b(visitor.encode(), digest_size=6).digest()
        name = float(int.from_bytes(digest, "big") + 1)
        now = time.time()
        turn, part = divmod(now / window, 1.0)
        with self.lock, self.locked():
            at = self.find_entry(name, turn)
            _, _, count, before = self.numbers[at : at + FIELDS]
            if before * (1 - part) + count + 1 > most:
                # Until enough of the window before has passed; or, if this one alone is full, the same in the next.
                free = most - 1 - count
                wait = 1 - free / before - part if free >= 0 and before else 1 - part + 1 - (most - 1) / max(count, 1)
                return max(wait, 0.0) * window + 0.001
            self.numbers[at + 2] = count + 1
        return 0.0

    def find_entry(self, name: float, turn: float) -> int:
        """The visitor's entry, brought to this window. A newcomer takes the entry of whoever has asked least."""
        row = PLACES * WIDTH + (int(name) % VISITORS) * WAYS * FIELDS
        entries = range(row, row + WAYS * FIELDS, FIELDS)
        at = next((one for one in entries if self.numbers[one] == name), None)
        if at is None:
            at = min(entries, key=lambda one: (self.numbers[one + 1] >= turn - 1, self.numbers[one + 2]))
            self.numbers[at], self.numbers[at + 1], self.numbers[at + 2], self.numbers[at + 3] = name, turn, 0, 0
        elif self.numbers[at + 1] != turn:
            count = self.numbers[at + 2] if self.numbers[at + 1] == turn - 1 else 0
            self.numbers[at + 1], self.numbers[at + 2], self.numbers[at + 3] = turn, 0, count
        return at

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the table of visitors against the other processes."""
        if fcntl is None:
            yield
            return
        fcntl.lockf(self.descriptor, fcntl.LOCK_EX, 1, PLACES)
        try:
            yield
        finally:
            fcntl.lockf(self.descriptor, fcntl.LOCK_UN, 1, PLACES)


def make_file() -> int:
    """A file without a name: in memory where the system has such, since a container may have no disk to write on."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("market-serving")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def open_shared(run_dir: str) -> Shared:
    """The numbers of the server that this process belongs to, where another program started the processes.

    Processes of one parent that serve one folder are one server; their file lies in the folder for temporary files.
    Files of parents that have ended are removed.
    """
    if fcntl is None:
        return Shared()
    mine = f"market-serving-{os.getuid()}-"
    parent = os.getppid()
    try:
        folder = Path(tempfile.gettempdir())
    except FileNotFoundError:  # none can be written: each process counts for itself
        return Shared()
    for old in folder.glob(f"{mine}*"):
        pid = old.name.split("-")[3]
        if not (pid.isdigit() and is_alive(int(pid))):
            old.unlink(missing_ok=True)
    name = hashlib.sha256(f"{tell_start(parent)} {Path(run_dir).resolve()}".encode()).hexdigest()[:16]
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(folder / f"{mine}{parent}-{name}", flags, 0o600)
    if os.fstat(descriptor).st_uid != os.getuid():  # laid there by somebody else
        os.close(descriptor)
        return Shared()
    return Shared(descriptor)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True


def tell_start(pid: int) -> str:
    """When a process started, where that can be read: numbers of processes come again."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""
