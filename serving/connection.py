"""One connection: what has come, what has still to go, and how long it may take."""

import socket
from dataclasses import dataclass
from enum import Enum

from serving.wire import ChunkReader, Request, read_head
from serving.wsgi import Caller


@dataclass(frozen=True)
class Limits:
    """What a worker grants. Times in seconds."""

    connections: int = 512  # open ones; then the one that has been idle longest goes, or the newcomer is refused
    grace: float = 1.0  # a connection is not taken for idle before
    idle: float = 30.0  # without a request
    arrival: float = 20.0  # from a request's first byte to its last
    reading: float = 60.0  # from an answer's first byte to its last
    heavy: int = 8  # large requests that wait for their turn
    memory: int = 32 * 2**20  # bytes of requests and answers under way


class State(Enum):
    """What a connection does."""

    READING = "waits for a request, or the rest of one"
    AGAIN = "has more in its inbox, and gets its next turn"
    WAITING = "has asked for something large, which is done when nothing else is"
    WRITING = "waits until the client reads"
    DRAINING = "has said all; what still comes is thrown away, so that the answer is not lost"
    CLOSED = "is gone"


class Connection:
    """A client. Who is the oldest by `since` is idle longest, or longest at sending or reading one thing."""

    __slots__ = ("address", "began", "caller", "chunks", "deadline", "drained", "ends", "events", "inbox", "outbox",
                 "request", "since", "socket", "state", "weight")  # fmt: skip

    def __init__(self, one: socket.socket, address: str, caller: Caller, now: float, limits: Limits) -> None:
        self.socket = one
        self.address = address
        self.caller = caller
        self.state = State.READING
        self.events = 0  # that the selector looks for
        self.inbox = bytearray()
        self.outbox: memoryview[int] | bytes = b""
        self.request: Request | None = None  # a head that waits for its body
        self.chunks: ChunkReader | None = None
        self.began = 0.0  # when the first byte came of a request that is not whole yet; 0 between two
        self.since = now  # of the last answer, or of the beginning
        self.deadline = now + limits.idle
        self.ends = False  # closes behind what is in the outbox
        self.weight = 0  # bytes that it was last found to hold
        self.drained = 0  # bytes thrown away

    def weigh(self) -> int:
        return len(self.inbox) + len(self.outbox) + (self.chunks.size if self.chunks else 0)

    def next_request(self) -> Request | None:
        """The next whole request of the inbox, if there is one. Raises WireError."""
        request = self.request
        if request is None:
            request = self.request = read_head(self.inbox) if self.inbox else None
            if request is None:
                return None
            if request.length < 0:
                self.chunks = ChunkReader()
        if request.length:
            body = self.take_body(request)
            if body is None:
                return None
            request.body = body
        self.request = self.chunks = None
        return request

    def take_body(self, request: Request) -> bytes | None:
        if self.chunks:
            return self.chunks.read(self.inbox)
        if len(self.inbox) < request.length:
            return None
        body = bytes(self.inbox[: request.length])
        del self.inbox[: request.length]
        return body
