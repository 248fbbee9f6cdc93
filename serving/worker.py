"""A process's part of the server: one thread that reads, answers and writes, for all connections in turn.

An answer is computing and takes a tenth of a millisecond, so it is given at once. What takes longer, a large batch,
waits until all others have had their turn; so it holds nobody up for longer than one of its kind takes.
"""

import contextlib
import logging
import socket
import time
from collections.abc import Sequence

from serving.connection import Connection, Limits, State
from serving.conversations import READ, READ_AT_ONCE, Conversations
from serving.shared import Shared
from serving.wsgi import Caller, format_error

ACCEPT_AT_ONCE = 16  # newcomers for each turn of the others, so that all workers get their share of them
REFUSE_AT_ONCE = 48  # and so many when all places are taken: soon told, and still a tenth of the work at most
GIVE_WAY = 0.002  # seconds in which another worker may take a newcomer
TICK = 0.1  # seconds between two looks at who is late

log = logging.getLogger("serving")


class Door:
    """A listening socket and the application behind it."""

    def __init__(self, listener: socket.socket, caller: Caller) -> None:
        self.socket = listener
        self.caller = caller
        listener.setblocking(False)


class Worker:
    """Serves `doors` until `stop` is called, from any thread, or `lifeline` can be read."""

    def __init__(self, doors: Sequence[Door], shared: Shared, limits: Limits, lifeline: int | None = None) -> None:
        self.doors = doors
        self.shared = shared
        self.limits = limits
        self.lifeline = lifeline
        self.conversations = Conversations(shared, limits)
        self.selector = self.conversations.selector
        self.is_open = False  # whether newcomers are let in
        self.refusal = b""  # what newcomers are told that find no place
        self.way_given = 0.0  # since when a newcomer is left to the others
        self.ended = False
        self.bell, self.ear = socket.socketpair()
        for one in (self.bell, self.ear):
            one.setblocking(False)

    def run(self) -> None:
        """Serve until the end; then close all connections."""
        self.selector.register(self.ear, READ)
        if self.lifeline is not None:
            self.selector.register(self.lifeline, READ)
        self.look()
        look = time.monotonic() + TICK
        try:
            while not self.ended:
                self.turn()
                if time.monotonic() >= look:
                    self.look()
                    look = time.monotonic() + TICK
        finally:
            self.close()

    def stop(self) -> None:
        self.ended = True
        with contextlib.suppress(OSError):  # it has stopped already, or the bell is full
            self.bell.send(b"\0")

    def close(self) -> None:
        for connection in list(self.conversations.order):
            self.conversations.drop(connection)
        self.selector.close()
        for one in (self.bell, self.ear):
            one.close()

    def turn(self) -> None:
        """Everybody once."""
        for key, _ in self.selector.select(0 if self.conversations.has_more else TICK):
            if type(key.data) is Connection:
                self.conversations.step(key.data)
            elif type(key.data) is Door:
                self.accept(key.data)
            else:
                self.ended = True
        self.conversations.go_on()

    # Newcomers

    def open_doors(self) -> None:
        for door in self.doors:
            self.selector.register(door.socket, READ, door)
        self.is_open = True

    def close_doors(self) -> None:
        """Leave newcomers to another worker until the next look."""
        for door in self.doors:
            self.selector.unregister(door.socket)
        self.is_open = False

    def accept(self, door: Door) -> None:
        if not self.is_open:  # closed in this same turn, at another door
            return
        for number in range(REFUSE_AT_ONCE):
            is_full = len(self.conversations.order) >= self.limits.connections
            if not is_full and (number >= ACCEPT_AT_ONCE or self.gives_way()):
                return
            if is_full and self.shared.find_fewest() < self.limits.connections:
                self.close_doors()
                return
            try:
                one, address = door.socket.accept()
            except BlockingIOError:
                return
            except OSError as error:  # the client has gone, or there are no file descriptors left
                log.warning("a connection was not accepted: %s", error)
                self.make_room()
                return
            one.setblocking(False)
            if is_full and not self.make_room():
                self.turn_away(one)
            else:
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.conversations.add(Connection(one, address[0], door.caller, time.monotonic(), self.limits))

    def gives_way(self) -> bool:
        """Leave a newcomer to a worker that has clearly fewer connections, for as long as that may need to wake up."""
        if len(self.conversations.order) <= 1 + 1.125 * self.shared.find_fewest():
            self.way_given = 0.0
            return False
        now = time.monotonic()
        self.way_given = self.way_given or now
        if now - self.way_given < GIVE_WAY:
            return True
        self.way_given = 0.0
        return False

    def make_room(self) -> bool:
        """Close the connection that has been idle longest, unless none has been for long."""
        oldest = next(iter(self.conversations.order), None)
        if oldest is None or oldest.state is State.WAITING or time.monotonic() - oldest.since < self.limits.grace:
            return False
        self.conversations.drop(oldest)
        return True

    def turn_away(self, one: socket.socket) -> None:
        """Tell a newcomer to come back. If its request has come it is read, else the answer might be lost."""
        with contextlib.suppress(OSError), one:
            with contextlib.suppress(BlockingIOError):
                one.recv(READ_AT_ONCE)
            one.send(self.refusal)
        self.shared.count("503", 0.0)

    # Time

    def look(self) -> None:
        """Close what is late, and let newcomers in again."""
        self.refusal = format_error(503, "Too many connections are open.", ("Retry-After", "1"))
        now = time.monotonic()
        late = [one for one in self.conversations.order if one.deadline < now and one.state is not State.WAITING]
        for connection in late:
            self.conversations.give_up(connection)
        if not self.is_open:
            self.open_doors()
