"""The HTTP server: processes that share the listening sockets, and the one that sees to it that they live.

uvicorn has such a parent as well, but its workers import everything anew, outlive it when it is killed, and are started
for ever though they cannot live. Where processes cannot be forked (Windows) there is one, which serves itself.
"""

import contextlib
import gc
import os
import selectors
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence

from flask import Flask

from serving.connections import MOST_PARTING, Limits
from serving.errors import ServingError
from serving.outside import MOST_OUTSIDE
from serving.shared import PLACES, Shared
from serving.watch import ModelWatch
from serving.worker import BACKLOG, Worker

MOST_CONNECTIONS = 512  # places of all workers together: so many that a turn of a worker's loop stays under 30 ms
MOST_HELD = 64 * 2**20  # bytes of requests and answers under way in all workers
CAN_FORK = hasattr(os, "fork")
CRASHES = (10, 10.0)  # so many ends of workers in so many seconds are no accident
LAST_WORDS = 5.0  # seconds for the workers to end
TURN = 0.001  # seconds that the thread which loads a new model computes before the one that answers may again
TICK = 1.0  # seconds between two calls of `look`


class Server:
    """An application behind listening sockets. The first is for everybody, the second for the public link."""

    def __init__(
        self, app: Flask, models: ModelWatch, shared: Shared, sockets: Sequence[socket.socket], workers: int = 1
    ) -> None:
        self.app = app
        self.models = models
        self.shared = shared
        self.sockets = sockets
        self.workers = workers if CAN_FORK else 1
        self.limits = Limits(MOST_CONNECTIONS, MOST_CONNECTIONS // self.workers, memory=MOST_HELD // self.workers)
        self.running: dict[int, None] = {}  # process ids of the workers
        self.ends: deque[float] = deque(maxlen=CRASHES[0])  # when workers ended by themselves
        self.is_ending = False
        raise_file_limit(MOST_CONNECTIONS + MOST_PARTING + 2 * MOST_OUTSIDE + 256)

    def start(self) -> None:
        """Start the workers. Only in the main thread."""
        if not CAN_FORK:
            return
        self.ear = catch_signals()
        gc.collect()
        gc.freeze()  # what is there now stays: the workers need not look at it, and so do not copy it
        self.start_workers()

    def run(self, look: Callable[[], None], until_eof: bool = False) -> None:
        """Serve until SIGINT or SIGTERM, or, with `until_eof`, the end of standard input.

        look: called every second. Raises ServingError if workers end again and again.
        """
        if not CAN_FORK:
            self.work(os.getppid())
            return
        with selectors.DefaultSelector() as selector:
            selector.register(self.ear, selectors.EVENT_READ, self.hear)
            if until_eof:
                selector.register(sys.stdin.fileno(), selectors.EVENT_READ, self.read_input)
            try:
                while not self.is_ending:
                    look()
                    for key, _ in selector.select(TICK):
                        key.data()
                    self.bury()
                    self.start_workers()
            finally:
                self.end_workers()

    def hear(self) -> None:
        if {signal.SIGINT, signal.SIGTERM} & set(self.ear.recv(4096)):
            self.is_ending = True

    def read_input(self) -> None:
        if not os.read(sys.stdin.fileno(), 4096):
            self.is_ending = True

    def start_workers(self) -> None:
        while len(self.running) < self.workers and not self.is_ending:
            self.start_worker()

    def start_worker(self) -> None:
        parent, process = os.getpid(), os.fork()
        if process:
            self.running[process] = None
            return
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            self.work(parent)
            code = 0
        except BaseException:
            sys.excepthook(*sys.exc_info())
        finally:
            os._exit(code)  # nothing of the parent's is cleaned up here

    def work(self, parent: int) -> None:
        """A worker's life, which ends with that of its parent."""
        sys.setswitchinterval(TURN)
        self.models.look()
        self.models.follow()
        Worker(self.app.wsgi_app, self.shared, self.limits, parent).run(list(self.sockets))

    def bury(self) -> None:
        """Notice workers that have ended. Raises ServingError if they do so again and again."""
        for process in list(self.running):
            ended, status = os.waitpid(process, os.WNOHANG)
            if not ended:
                continue
            del self.running[process]
            if self.is_ending:
                continue
            how = os.waitstatus_to_exitcode(status)
            why = f"signal {-how}" if how < 0 else f"exit code {how}"
            print(f"warning: a worker ended ({why}); another takes its place.", file=sys.stderr, flush=True)
            self.ends.append(time.monotonic())
            if len(self.ends) == CRASHES[0] and self.ends[-1] - self.ends[0] < CRASHES[1]:
                raise ServingError(f"Workers end as soon as they begin ({why}): look at the lines above.")

    def end_workers(self) -> None:
        self.is_ending = True
        for way in (signal.SIGTERM, signal.SIGKILL):
            for process in self.running:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, way)
            patience = time.monotonic() + LAST_WORDS
            while self.running and time.monotonic() < patience:
                self.bury()
                time.sleep(0.01)


def catch_signals() -> socket.socket:
    """A socket from which the numbers of signals can be read: those that end the server, and ends of its children."""
    ear, mouth = socket.socketpair()
    for one in (ear, mouth):
        one.setblocking(False)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, lambda *_: None)
    signal.set_wakeup_fd(mouth.detach(), warn_on_full_buffer=False)
    return ear


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises ServingError, with the remedy, if the port is taken or cannot be."""
    try:
        found = socket.getaddrinfo(host, port if 0 <= port < 65_536 else None, type=socket.SOCK_STREAM)
        family, _, _, _, address = found[0]
        one = socket.socket(family)
    except (OSError, UnicodeError) as error:
        raise ServingError(tell_unusable(host, port, getattr(error, "strerror", None) or "no such host")) from None
    if os.name == "posix":  # elsewhere it would let two servers have one port
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        one.bind((address[0], port, *address[2:]))
        one.listen(BACKLOG)
    except (OSError, OverflowError) as error:
        one.close()
        why = error.strerror if isinstance(error, OSError) else "ports go from 0 to 65535"
        raise ServingError(tell_unusable(host, port, why or str(error))) from None
    return one


def tell_unusable(host: str, port: int, why: str) -> str:
    return f"Port {port} of {host} cannot be used ({why}): choose another with --port, or another host with --host."


def tell_address(one: socket.socket) -> str:
    """The address of a listening socket as a URL."""
    host, port = one.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def count_cores() -> int:
    """The cores that this process may use, as far as the system tells."""
    if hasattr(os, "sched_getaffinity"):
        return min(len(os.sched_getaffinity(0)), PLACES)
    return min(os.cpu_count() or 1, PLACES)


def raise_file_limit(wanted: int) -> None:
    """Allow as many open files as there may be connections, where the system lets us."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
