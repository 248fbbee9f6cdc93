"""What is said over a worker's connections: requests are read and answered, and answers written as they are read."""

import contextlib
import logging
import selectors
import socket
import time
from collections import deque
from collections.abc import Callable
from functools import partial

from serving.connection import Connection, Limits, State
from serving.shared import Shared
from serving.wire import Request, WireError
from serving.wsgi import EXPECTED, format_error, format_wire_error

READ_AT_ONCE = 64 * 1024  # bytes
LINGER = 2.0  # seconds for a client to take its refusal
MOST_DRAINED = 4 * 2**20  # bytes thrown away of one refused request
READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE

log = logging.getLogger("serving")


class Conversations:
    """All connections of a worker."""

    def __init__(self, shared: Shared, limits: Limits) -> None:
        self.shared = shared
        self.limits = limits
        self.selector = selectors.DefaultSelector()
        self.order: dict[Connection, None] = {}  # all, the longest without an answer first
        self.again: deque[Connection] = deque()  # have more to be read of what has come already
        self.heavy: deque[tuple[Connection, Request]] = deque()
        self.held = 0  # bytes of all connections

    def add(self, connection: Connection) -> None:
        self.order[connection] = None
        self.watch(connection, READ)
        self.shared.set_connections(len(self.order))

    def step(self, connection: Connection) -> None:
        """Read or write what can be now."""
        if connection.state is State.WRITING:
            self.attempt(self.write, connection)
        elif connection.state in (State.READING, State.DRAINING):
            self.attempt(self.read, connection)

    def attempt(self, act: Callable[[Connection], None], connection: Connection) -> None:
        """Whatever goes wrong with a connection does no harm to the others."""
        try:
            act(connection)
        except Exception:
            log.exception("a connection failed")
            self.drop(connection)

    def go_on(self) -> None:
        """A turn for those who have more in their inbox, and then for one large request."""
        waiting, self.again = self.again, deque()
        for connection in waiting:
            if connection.state is State.AGAIN:
                self.attempt(self.proceed, connection)
        if self.heavy:
            connection, request = self.heavy.popleft()
            if connection.state is State.WAITING:
                self.attempt(partial(self.answer, request=request), connection)

    @property
    def has_more(self) -> bool:
        return bool(self.again or self.heavy)

    def read(self, connection: Connection) -> None:
        try:
            data = connection.socket.recv(READ_AT_ONCE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.drop(connection)
        elif connection.state is State.DRAINING:
            connection.drained += len(data)
            if connection.drained > MOST_DRAINED:
                self.drop(connection)
        else:
            if not connection.began:
                connection.began = time.monotonic()
                connection.deadline = connection.began + self.limits.arrival
            connection.inbox += data
            self.proceed(connection)

    def proceed(self, connection: Connection) -> None:
        """Answer the next request, if it is whole."""
        try:
            request = connection.next_request()
        except WireError as error:
            self.refuse(connection, format_wire_error(error), str(error.status))
            return
        if request is None:
            self.await_rest(connection)
        elif not request.is_heavy:
            self.answer(connection, request)
        elif len(self.heavy) >= self.limits.heavy:
            self.refuse_for_now(connection, "Too many large requests wait already.")
        else:
            connection.state = State.WAITING
            self.heavy.append((connection, request))
            self.watch(connection, 0)

    def await_rest(self, connection: Connection) -> None:
        connection.state = State.READING
        self.weigh(connection)
        if self.held > self.limits.memory:
            self.refuse_for_now(connection, "Too many large requests are under way.")
        elif connection.request and connection.request.expects:
            connection.request.expects = False
            self.send(connection, EXPECTED)

    def answer(self, connection: Connection, request: Request) -> None:
        content, keep = connection.caller.answer(request, connection.address)
        connection.began, connection.since = 0.0, time.monotonic()
        del self.order[connection]
        self.order[connection] = None
        connection.ends = not keep
        self.send(connection, content)

    def refuse_for_now(self, connection: Connection, message: str) -> None:
        self.refuse(connection, format_error(503, message, ("Retry-After", "1")), "503")

    def refuse(self, connection: Connection, content: bytes, status: str) -> None:
        """Answer for the application. The rest of the request is thrown away."""
        self.shared.count(status, 0.0)
        connection.inbox.clear()
        connection.request = connection.chunks = None
        connection.ends = True
        self.send(connection, content)

    # Answers

    def send(self, connection: Connection, content: bytes) -> None:
        connection.outbox = content
        self.write(connection)

    def write(self, connection: Connection) -> None:
        """Write what can be written now; the rest when the client has read."""
        try:
            sent = connection.socket.send(connection.outbox)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.drop(connection)
            return
        if sent < len(connection.outbox):
            connection.outbox = memoryview(connection.outbox)[sent:]
            if connection.state is not State.WRITING:
                connection.state = State.WRITING
                connection.deadline = time.monotonic() + self.limits.reading
                self.watch(connection, WRITE)
        else:
            connection.outbox = b""
            if connection.ends:
                self.drain(connection)
            else:
                self.listen(connection)
        self.weigh(connection)

    def listen(self, connection: Connection) -> None:
        """All is written: go on with what has come meanwhile, or wait for more."""
        if connection.inbox and not connection.began:
            connection.began = time.monotonic()
        if connection.began:
            connection.deadline = connection.began + self.limits.arrival
        else:
            connection.deadline = connection.since + self.limits.idle
        if connection.inbox:
            connection.state = State.AGAIN
            self.again.append(connection)
        else:
            connection.state = State.READING
        self.watch(connection, READ)

    def drain(self, connection: Connection) -> None:
        """Close the connection as soon as the client has taken its answer."""
        connection.state = State.DRAINING
        connection.inbox.clear()
        connection.deadline = time.monotonic() + LINGER
        self.watch(connection, READ)
        try:
            connection.socket.shutdown(socket.SHUT_WR)
        except OSError:
            self.drop(connection)

    def watch(self, connection: Connection, events: int) -> None:
        if events == connection.events:
            return
        if not events:
            self.selector.unregister(connection.socket)
        elif connection.events:
            self.selector.modify(connection.socket, events, connection)
        else:
            self.selector.register(connection.socket, events, connection)
        connection.events = events

    def drop(self, connection: Connection) -> None:
        if connection.state is State.CLOSED:
            return
        connection.state = State.CLOSED
        del self.order[connection]
        self.held -= connection.weight
        connection.weight = 0
        self.watch(connection, 0)
        connection.socket.close()
        self.shared.set_connections(len(self.order))

    def weigh(self, connection: Connection) -> None:
        if connection.state is not State.CLOSED:
            weight = connection.weigh()
            self.held += weight - connection.weight
            connection.weight = weight

    def give_up(self, connection: Connection) -> None:
        """Close a connection that is late, and say so if it was at sending something."""
        if connection.began and connection.state is State.READING:
            with contextlib.suppress(OSError):
                connection.socket.send(format_error(408, "The request took too long to arrive."))
            self.shared.count("408", 0.0)
        self.drop(connection)
