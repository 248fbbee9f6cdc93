"""What is added to uvicorn's HTTP protocol before a public door: strictness, and limits of size, number and time.

Its parser (llhttp) refuses most of what two readers could read differently. The rest is refused here, never mended.
"""

import asyncio
import re
import socket
import time
from collections import deque
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from serving.connections import Connections
from serving.questions import LARGEST_BODY
from serving.refusals import FULL, Refusal

LARGEST_HEAD = 32 * 1024  # bytes of the request line and the headers; of a trailer; of a chunk's extensions
MOST_HEADERS = 100
MOST_PIECES = 10_000  # of one body, chunks for example: each costs work, however small it is
MOST_WAITING = 64  # requests sent over one connection before the answer to the first was read
MOST_DRAINED = 4 * 2**20  # bytes thrown away of one refused request

ABSOLUTE = re.compile(rb"https?://[^/?@]+/", re.IGNORECASE)
HOST = re.compile(rb"[!$%&'()*+,.:;=\[\]_~0-9A-Za-z-]*")

Head = list[tuple[bytes, bytes]]  # the headers, their names in small letters


class GuardedProtocol(HttpToolsProtocol):
    """A connection. A request that is refused is answered behind those before it, and is the last."""

    house: Connections  # of the worker, set in a class of its own

    def __init__(
        self, *arguments: Any, ticket: socket.socket | None = None, early: bytes = b"", **options: Any
    ) -> None:
        """ticket: for the place that was promised, if one was. early: what the client has sent before."""
        super().__init__(*arguments, **options)
        self.ticket = ticket
        self.early = early
        self.since = time.monotonic()  # of the last answer, or of the beginning
        self.began = 0.0  # when the first byte came of a request that is not whole yet; 0 between two
        self.bodies: deque[int] = deque()  # bytes of the bodies of the requests that are not answered yet
        self.in_body = False  # whether the last of them is not whole yet
        self.head = 0  # bytes of the headers that came so far
        self.pieces = 0  # of the body that came so far
        self.idle_bytes = 0  # came since the last thing that the parser could make use of
        self.is_last = False  # the client has said that it will ask no more
        self.farewell = b""  # the last answer, of somebody who is refused
        self.drained = 0  # bytes that came after it

    @property
    def is_waiting(self) -> bool:
        """Whether a whole request is not answered yet."""
        return len(self.bodies) > self.in_body

    # The connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if not self.house.enter(self):
            self.refuse(Refusal(503, FULL))
        elif self.early:
            self.data_received(self.early)
            self.early = b""

    def connection_lost(self, exc: Exception | None) -> None:
        self.house.leave(self)
        self.house.held -= sum(self.bodies)
        self.bodies.clear()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.farewell:
            self.drained += len(data)
            if self.drained > MOST_DRAINED:
                self.transport.abort()
            return
        self._unset_keepalive_if_required()
        self.began = self.began or time.monotonic()
        self.idle_bytes += len(data)
        try:
            self.feed(data)
            if self.idle_bytes > LARGEST_HEAD:
                raise Refusal(431, f"Request line, headers and trailers must not exceed {LARGEST_HEAD:,} bytes.")
        except httptools.HttpParserInvalidMethodError:
            self.refuse(Refusal(501, "This method is not known here."))
        except httptools.HttpParserError as error:
            cause = error.__context__  # what one of the methods below raised
            unread = Refusal(400, f"This is no request of HTTP/1.1: {error}.")
            self.refuse(cause if isinstance(cause, Refusal) else unread)
        except Refusal as refusal:
            self.refuse(refusal)

    def eof_received(self) -> bool:  # type: ignore[override]
        """The client sends no more. Returns whether it is still owed an answer."""
        self.is_last = True
        return self.is_waiting

    def feed(self, data: bytes) -> None:
        """Have the parser read. An offer to go on with another protocol stops it; the request is read without it."""
        while data:
            try:
                self.parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as offer:
                rest = data[offer.args[0] :]
            version = self.parser.get_http_version().encode()
            lines = [b"%s %s HTTP/%s" % (self.parser.get_method(), self.url, version)]
            lines += [name + b": " + value for name, value in self.headers if name != b"upgrade"]
            data = b"\r\n".join(lines) + b"\r\n\r\n" + rest
            self.parser = httptools.HttpRequestParser(self)

    # What the parser finds

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.began = self.began or time.monotonic()
        self.head = self.pieces = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.in_body:  # a trailer, which nobody reads
            return
        super().on_header(name, value)
        self.head += len(name) + len(value) + 4
        if self.head > LARGEST_HEAD or len(self.headers) > MOST_HEADERS:
            raise Refusal(431, f"There may be {MOST_HEADERS} headers, of {LARGEST_HEAD:,} bytes.")

    def on_headers_complete(self) -> None:
        method = self.parser.get_method()
        if self.parser.should_upgrade() and method != b"CONNECT":
            return  # and so the parser stops: see `feed`
        self.url = check_target(method, self.url)
        self.expect_100_continue &= check_headers(self.parser.get_http_version(), self.headers)
        if len(self.bodies) >= MOST_WAITING:
            raise Refusal(503, f"More than {MOST_WAITING} requests in a row wait for their answers.")
        super().on_headers_complete()
        self.bodies.append(0)
        self.in_body = True
        self.idle_bytes = 0

    def on_body(self, body: bytes) -> None:
        self.idle_bytes = 0
        self.pieces += 1
        self.bodies[-1] += len(body)
        self.house.held += len(body)
        if self.bodies[-1] > LARGEST_BODY or self.pieces > MOST_PIECES:
            raise Refusal(413, f"A body may have {LARGEST_BODY:,} bytes in {MOST_PIECES:,} chunks: send fewer rows.")
        if self.house.is_out_of_memory:
            raise Refusal(503, "Too many large requests are under way.")
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self.in_body:
            super().on_message_complete()
            self.in_body = False
            self.began = 0.0
            self.idle_bytes = 0

    # Answers

    def on_response_complete(self) -> None:
        self.since = time.monotonic()
        self.house.renew(self)
        self.house.held -= self.bodies.popleft()
        super().on_response_complete()
        if self.farewell and not self.bodies:
            self.part()
        elif self.is_last and not self.is_waiting:
            self.transport.close()

    def refuse(self, refusal: Refusal) -> None:
        """Answer for the application. What still comes is thrown away."""
        self.house.shared.count(str(refusal.status), 0.0)
        self.farewell = refusal.format()
        self.began = 0.0
        if self.in_body:  # its application waits for the rest
            self.in_body = False
            self.house.held -= self.bodies.pop()
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            if self.pipeline and self.pipeline[0][0] is self.cycle:
                self.pipeline.popleft()
        if not self.bodies:
            self.part()

    def part(self) -> None:
        """Say the last word, and close when it was taken: closed at once, it would be lost with what was not read."""
        if self.transport.is_closing():
            return
        self.since = time.monotonic()
        self.transport.write(self.farewell)
        self.flow.resume_reading()
        if self.is_last or not self.house.part(self):
            self.transport.close()
        else:
            self.transport.write_eof()


def check_target(method: bytes, target: bytes) -> bytes:
    """The address asked for. Raises Refusal for one that is none."""
    if target == b"*" and method == b"OPTIONS":
        return b"/*"  # which leads nowhere
    is_whole = target.startswith(b"/") or ABSOLUTE.match(target)
    if not is_whole or b"#" in target or method == b"CONNECT":
        raise Refusal(400, "The address must begin with / and have no #.")
    return target


def check_headers(version: str, headers: Head) -> bool:
    """Whether there is a body. Raises Refusal wherever its end could be seen in two places."""
    hosts, length, codings = 0, 0, 0
    for name, value in headers:
        if name == b"host":
            hosts += 1
            if not HOST.fullmatch(value):
                raise Refusal(400, "The header Host is malformed.")
        elif name == b"content-length":
            length = int(value)
            if length > LARGEST_BODY:
                raise Refusal(413, f"The body is larger than {LARGEST_BODY:,} bytes: send fewer rows at a time.")
        elif name == b"transfer-encoding":
            codings += 1
            if codings > 1 or value.lower() != b"chunked" or version == "1.0":
                raise Refusal(501, "The only Transfer-Encoding is chunked, once, in HTTP/1.1.")
        elif name == b"expect" and value.lower() != b"100-continue":
            raise Refusal(417, "The only expectation that can be met is 100-continue.")
    if version not in ("1.1", "1.0"):
        raise Refusal(505, "This server speaks HTTP/1.1.")
    if hosts != 1 and (version == "1.1" or hosts):
        raise Refusal(400, "There must be one header Host.")
    return bool(length or codings)
