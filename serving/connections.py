"""All connections of a worker: how many there may be, how long they may take, and who goes first."""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from serving.refusals import Refusal
from serving.shared import Shared

if TYPE_CHECKING:
    from serving.protocol import GuardedProtocol

LINGER = 2.0  # seconds for a client to take its refusal
MOST_PARTING = 256  # connections that are refused and not closed yet


@dataclass(frozen=True)
class Limits:
    """What a server grants. Times in seconds."""

    connections: int = 512  # places in all workers; then the one that has been idle longest goes, or the newcomer waits
    share: int = 256  # of these, so many a worker gives whatever the others have
    grace: float = 1.0  # a connection is not taken for idle before
    idle: float = 30.0  # without a request
    arrival: float = 20.0  # from a request's first byte to its last
    reading: float = 60.0  # from an answer's first byte to its last
    memory: int = 32 * 2**20  # bytes of requests and answers under way in a worker


class Connections:
    """Who is connected to a worker, and what they hold."""

    def __init__(self, shared: Shared, limits: Limits) -> None:
        self.shared = shared
        self.limits = limits
        self.order: dict[GuardedProtocol, None] = {}  # the longest without an answer first
        self.promised: set[socket.socket] = set()  # who have been promised a place and have not taken it yet
        self.answered = 0  # requests
        self.parting: dict[GuardedProtocol, None] = {}  # refused, and given time to take the refusal
        self.held = 0  # bytes of bodies of requests that are not answered yet
        self.unsent = 0  # bytes of answers that were not read yet, when it was last looked at

    def enter(self, one: GuardedProtocol) -> bool:
        """Let a newcomer in, unless all places are taken and nobody has been idle."""
        if one.ticket:
            self.promised.discard(one.ticket)
        if not self.has_room():
            return False
        self.order[one] = None
        self.shared.set_connections(len(self.order))
        return True

    def has_room(self) -> bool:
        """Whether there is a place, or one can be made, beside those that have been promised."""
        return not self.is_full or self.make_room()

    @property
    def surplus(self) -> float:
        """How many more connections this worker has than the mean of all."""
        workers = self.limits.connections // self.limits.share
        mine = len(self.order) + len(self.promised)
        return mine - (self.shared.count_connections() + len(self.promised)) / workers

    @property
    def is_full(self) -> bool:
        promised = len(self.promised)
        if len(self.order) + promised < self.limits.share:
            return False
        return self.shared.count_connections() + promised >= self.limits.connections

    def make_room(self) -> bool:
        """Close the connection that has been longest without an answer, unless none has been for long."""
        oldest = next(iter(self.order), None)
        if oldest is None or oldest.is_waiting or time.monotonic() - oldest.since < self.limits.grace:
            return False
        if oldest.ticket and has_more(oldest.ticket):
            return False
        self.leave(oldest)
        oldest.transport.abort()
        return True

    def renew(self, one: GuardedProtocol) -> None:
        """It was answered, and is now the one that has waited least."""
        self.answered += 1
        if one in self.order:
            del self.order[one]
            self.order[one] = None

    def part(self, one: GuardedProtocol) -> bool:
        """Take the place of somebody who was refused. Returns whether there is time to wait until that is read."""
        self.leave(one)
        if len(self.parting) >= MOST_PARTING:
            return False
        self.parting[one] = None
        return True

    def leave(self, one: GuardedProtocol) -> None:
        self.parting.pop(one, None)
        if one in self.order:
            del self.order[one]
            self.shared.set_connections(len(self.order))

    @property
    def is_out_of_memory(self) -> bool:
        return self.held + self.unsent > self.limits.memory

    def look(self) -> None:
        """Close what is late."""
        now, self.unsent = time.monotonic(), 0
        for one in list(self.order):
            unsent = one.transport.get_write_buffer_size()
            self.unsent += unsent
            if unsent:
                is_late = now > one.since + self.limits.reading
            elif one.is_waiting:
                continue
            elif one.began and now > one.began + self.limits.arrival:
                one.refuse(Refusal(408, "The request took too long to arrive."))
                continue
            else:
                is_late = not one.began and now > one.since + self.limits.idle
            if is_late:
                one.transport.abort()
        for one in list(self.parting):
            if now > one.since + LINGER:
                one.transport.abort()


def has_more(one: socket.socket) -> bool:
    """Whether something lies there that was sent and not read yet."""
    try:
        return bool(one.recv(1, socket.MSG_PEEK))
    except OSError:
        return False
