"""A request to the WSGI application, and its answer as bytes."""

import io
import logging
import sys
import time
from collections.abc import Callable, Iterable
from email.utils import formatdate
from http import HTTPStatus
from types import TracebackType
from wsgiref.types import WSGIApplication, WSGIEnvironment

from serving.answers import JSON_HEADERS, describe_error
from serving.wire import Request, WireError

# Who had no key, asked too often, came at a bad time or spoke no HTTP gives the place to somebody else.
CLOSING = ("401", "408", "429", "503")
BODILESS = ("204", "304")
EXPECTED = b"HTTP/1.1 100 Continue\r\n\r\n"

Headers = list[tuple[str, str]]
Failure = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]

log = logging.getLogger("serving")


class Caller:
    """Calls the application for one of the server's doors."""

    def __init__(self, application: WSGIApplication, host: str, port: int) -> None:
        self.application = application
        self.base: WSGIEnvironment = {
            "SCRIPT_NAME": "",
            "SERVER_NAME": host,
            "SERVER_PORT": str(port),
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": False,
            "wsgi.multiprocess": True,
            "wsgi.run_once": False,
            "wsgi.input_terminated": True,
        }

    def answer(self, request: Request, address: str) -> tuple[bytes, bool]:
        """The answer, and whether the connection stays open behind it."""
        started: list[tuple[str, Headers]] = []
        written: list[bytes] = []

        def start_response(status: str, headers: Headers, failure: Failure | None = None) -> Callable[[bytes], object]:
            started[:] = [(status, headers)]
            return written.append

        try:
            result: Iterable[bytes] = self.application(self.make_environ(request, address), start_response)
            body = b"".join([*written, *result])
            if hasattr(result, "close"):
                result.close()
            status, headers = started[0]
        except Exception:
            log.exception("failed to answer %s %s", request.method, request.path[:80])
            return format_error(500, "The server failed to answer; its log says why."), False
        keep = request.keep and status[:3] not in CLOSING
        return format_answer(status, headers, body, request, keep), keep

    def make_environ(self, request: Request, address: str) -> WSGIEnvironment:
        environ = {
            **self.base,
            **request.headers,
            "REQUEST_METHOD": request.method,
            "PATH_INFO": request.path,
            "QUERY_STRING": request.query,
            "SERVER_PROTOCOL": f"HTTP/1.{request.minor}",
            "REMOTE_ADDR": address,
            "wsgi.input": io.BytesIO(request.body),
        }
        if request.length < 0:
            environ["CONTENT_LENGTH"] = str(len(request.body))
        return environ


def format_answer(status: str, headers: Headers, body: bytes, request: Request, keep: bool) -> bytes:
    lines = [f"HTTP/1.1 {status}", *[f"{name}: {value}" for name, value in headers]]
    given = {name.lower() for name, _ in headers}
    if "date" not in given:
        lines.append(f"Date: {tell_date()}")
    if status[:3] not in BODILESS and "content-length" not in given:
        lines.append(f"Content-Length: {len(body)}")
    if not keep:
        lines.append("Connection: close")
    elif request.minor == 0:
        lines.append("Connection: keep-alive")
    head = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"
    return head if request.method == "HEAD" or status[:3] in BODILESS else head + body


def format_error(status: int, message: str, *more: tuple[str, str]) -> bytes:
    """An answer of the server itself, to a request that never reaches the application. The connection closes."""
    body = describe_error(message)
    headers = [*JSON_HEADERS, *more, ("Content-Length", str(len(body))), ("Connection", "close"), ("Date", tell_date())]
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", *[f"{name}: {value}" for name, value in headers]]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def format_wire_error(error: WireError) -> bytes:
    return format_error(error.status, str(error))


class Date:
    """The header Date, put together once a second."""

    second = 0
    text = ""


def tell_date() -> str:
    now = int(time.time())
    if now != Date.second:
        Date.second, Date.text = now, formatdate(now, usegmt=True)
    return Date.text
