"""The application, which is one of WSGI, to a server that speaks ASGI.

An answer is computing and takes a tenth of a millisecond: less than handing it to a thread. So it is given at once, in
the loop that reads and writes. What takes longer, a large batch, waits for the other large ones, and between two of
them everybody else has a turn.
"""

import asyncio
import io
import logging
import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes
from wsgiref.types import WSGIApplication, WSGIEnvironment

from serving.refusals import Refusal
from serving.shared import Shared

if TYPE_CHECKING:
    from uvicorn._types import ASGIReceiveCallable, ASGISendCallable, HTTPScope

# Who had no key, asked too often or came at a bad time gives the place to somebody else.
CLOSING = (401, 429, 503)
HEAVY = 4_000  # bytes of a body from which on an answer takes so long that others go first
MOST_HEAVY = 8  # large requests that wait for their turn
BASE: WSGIEnvironment = {
    "SCRIPT_NAME": "",
    "wsgi.version": (1, 0),
    "wsgi.url_scheme": "http",
    "wsgi.errors": sys.stderr,
    "wsgi.multithread": False,
    "wsgi.multiprocess": True,
    "wsgi.run_once": False,
    "wsgi.input_terminated": True,
}

NAMES = {b"content-type": "CONTENT_TYPE", b"content-length": "CONTENT_LENGTH"}

Headers = list[tuple[str, str]]
Answer = tuple[int, Headers, bytes]

log = logging.getLogger("serving")


class Bridge:
    """Calls the application with each request, once its body is there."""

    def __init__(self, application: WSGIApplication, shared: Shared) -> None:
        self.application = application
        self.shared = shared
        self.turn = asyncio.Lock()  # of the large requests
        self.waiting = 0  # large requests

    async def __call__(self, scope: "HTTPScope", receive: "ASGIReceiveCallable", send: "ASGISendCallable") -> None:
        body = await read_body(receive)
        if body is None:
            return
        if len(body) <= HEAVY:
            status, headers, content = self.answer(scope, body)
        else:
            status, headers, content = await self.answer_in_turn(scope, body)
        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        if status in CLOSING:
            raw.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": status, "headers": raw})
        await send({"type": "http.response.body", "body": content, "more_body": False})

    async def answer_in_turn(self, scope: "HTTPScope", body: bytes) -> Answer:
        """One large request in each round of the loop."""
        if self.waiting >= MOST_HEAVY:
            return self.refuse(Refusal(503, "Too many large requests wait already."))
        self.waiting += 1
        try:
            async with self.turn:
                await asyncio.sleep(0)
                return self.answer(scope, body)
        finally:
            self.waiting -= 1

    def answer(self, scope: "HTTPScope", body: bytes) -> Answer:
        started: list[tuple[str, Headers]] = []
        written: list[bytes] = []

        def start_response(status: str, headers: Headers, failure: object = None) -> Callable[[bytes], object]:
            started[:] = [(status, headers)]
            return written.append

        try:
            result: Iterable[bytes] = self.application(make_environ(scope, body), start_response)
            content = b"".join([*written, *result])
            if hasattr(result, "close"):
                result.close()
            status, headers = started[0]
        except Exception:
            log.exception("failed to answer %s %s", scope["method"], scope["path"][:80])
            return self.refuse(Refusal(500, "The server failed to answer; its log says why."))
        return int(status[:3]), headers, content

    def refuse(self, refusal: Refusal) -> Answer:
        self.shared.count(str(refusal.status), 0.0)
        return refusal.status, refusal.headers, refusal.body


async def read_body(receive: "ASGIReceiveCallable") -> bytes | None:
    """The whole body; None if the client is gone or was refused before it was there."""
    parts = []
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        parts.append(message["body"])
        if not message["more_body"]:
            return parts[0] if len(parts) == 1 else b"".join(parts)


def make_environ(scope: "HTTPScope", body: bytes) -> WSGIEnvironment:
    path, server, client = scope["raw_path"], scope["server"], scope["client"]
    environ = {
        **BASE,
        "REQUEST_METHOD": scope["method"],
        "PATH_INFO": (unquote_to_bytes(path) if b"%" in path else path).decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "SERVER_NAME": server[0] if server else "",
        "SERVER_PORT": str(server[1]) if server else "",
        "REMOTE_ADDR": client[0] if client else "",
        "wsgi.input": io.BytesIO(body),
    }
    for name, value in scope["headers"]:
        key = NAMES.get(name) or name_variable(name)
        if key:
            text = value.decode("latin-1")
            given = environ.get(key)
            environ[key] = text if given is None else given + ("; " if key == "HTTP_COOKIE" else ",") + text
    if "HTTP_TRANSFER_ENCODING" in environ:
        del environ["HTTP_TRANSFER_ENCODING"]
        environ["CONTENT_LENGTH"] = str(len(body))
    return environ


def name_variable(name: bytes) -> str:
    """The variable of CGI for a header; none for X_Key, which to the application would be X-Key."""
    return "" if b"_" in name else "HTTP_" + name.decode("latin-1").upper().replace("-", "_")
