"""What stands between the network and the application: URL lengths, the public link's key and rate, counters.

The public link has a port of its own on loopback. A request that came in there came from the link; no header decides
it. A server that is public as a whole has one port, and that is a public door.
"""

import hmac
import ipaddress
import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl, quote, urlencode
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from serving.answers import JSON_HEADERS, PRIVATE, describe_error
from serving.shared import Shared

LONGEST_URL = 8_000  # characters
KEY_NAME = "key"
COOKIE = "market_key"
HEADER = "HTTP_X_KEY"
PRIVATE_PATHS = ("/metrics",)  # never answered through the link
PAGES = ("/", "/docs")
PREFIX = re.compile(r"(/[A-Za-z0-9._~-]+)+")
SLASHES = re.compile(r"/+")

Headers = list[tuple[str, str]]


@dataclass(frozen=True)
class PublicDoor:
    """A port at which visitors come in, who do not see everything."""

    port: int
    key: str = ""  # that they need; empty if they need none
    rate: int = 0  # requests of one visitor in any minute, by the address that the tunnel forwards; 0 without limit


class Guard:
    """WSGI middleware around the application."""

    def __init__(
        self,
        application: WSGIApplication,
        shared: Shared,
        doors: Sequence[PublicDoor] = (),
        origins: Sequence[str] = (),
    ) -> None:
        """origins: those whose pages may ask this API; "*" for all."""
        self.application = application
        self.shared = shared
        self.doors = {str(door.port): door for door in doors}
        self.origins = origins

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start = time.perf_counter()
        allowed = self.allow_origin(environ["HTTP_ORIGIN"]) if self.origins and "HTTP_ORIGIN" in environ else []

        def counting_start(status: str, headers: Headers, failure: object = None) -> Callable[[bytes], object]:
            self.shared.count(status[:3], time.perf_counter() - start)
            if allowed:
                headers = [*headers, *allowed]
            return start_response(status, headers, failure)  # type: ignore[arg-type]

        if len(environ["PATH_INFO"]) + len(environ["QUERY_STRING"]) > LONGEST_URL:
            return refuse(counting_start, "414 URI Too Long", f"The URL is longer than {LONGEST_URL} characters.")
        tidy_path(environ)
        if allowed and "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in environ and environ["REQUEST_METHOD"] == "OPTIONS":
            counting_start("204 No Content", [*PRIVATE.items(), *PREFLIGHT])
            return []
        door = self.doors.get(environ["SERVER_PORT"])
        if door:
            return self.answer_visitor(door, environ, counting_start)
        return self.application(environ, counting_start)

    def allow_origin(self, origin: str) -> Headers:
        headers = [("Vary", "Origin")]
        if "*" in self.origins or origin in self.origins:
            headers += [("Access-Control-Allow-Origin", origin), ("Access-Control-Expose-Headers", "X-Model-Version")]
        return headers

    def answer_visitor(
        self, door: PublicDoor, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        """A request from outside: it keeps to the rate, has the key, and does not see everything."""
        wait = self.shared.hit(name_visitor(environ), door.rate) if door.rate else 0.0
        if wait:
            message = f"More than {door.rate} requests in a minute."
            return refuse(start_response, "429 Too Many Requests", message, ("Retry-After", str(int(wait) + 1)))
        arguments = parse_qsl(environ["QUERY_STRING"], keep_blank_values=True, encoding="latin-1")
        given = [value for name, value in arguments if name == KEY_NAME]
        if door.key and not any(
            hmac.compare_digest(one.encode("latin-1", "replace"), door.key.encode())
            for one in [*given, *read_keys(environ)]
        ):
            return refuse(
                start_response, "401 Unauthorized", "This link needs its key: ask the sender for the whole link."
            )
        path = environ["PATH_INFO"]
        if path.rstrip("/") in PRIVATE_PATHS:
            return refuse(start_response, "404 Not Found", "Not available from outside.")
        if door.key and given:
            rest = [(name, value) for name, value in arguments if name != KEY_NAME]
            environ["QUERY_STRING"] = urlencode(rest, encoding="latin-1")
            if environ["REQUEST_METHOD"] == "GET" and (path in PAGES or "text/html" in environ.get("HTTP_ACCEPT", "")):
                return move_key(environ, start_response, door.key)
        return self.application(environ, start_response)


PREFLIGHT = [
    ("Access-Control-Allow-Methods", "GET, POST"),
    ("Access-Control-Allow-Headers", "Content-Type, X-Key, If-None-Match"),
    ("Access-Control-Max-Age", "600"),
]


def tidy_path(environ: WSGIEnvironment) -> None:
    """Have everybody behind see one path, however many slashes it was written with, and the prefix that a proxy cut."""
    path = environ["PATH_INFO"]
    if not path.startswith("/") or "//" in path:
        environ["PATH_INFO"] = SLASHES.sub("/", "/" + path)
    prefix = environ.get("HTTP_X_FORWARDED_PREFIX", "").rstrip("/")
    if prefix and len(prefix) < 200 and PREFIX.fullmatch(prefix):
        environ["SCRIPT_NAME"] = prefix


def name_visitor(environ: WSGIEnvironment) -> str:
    """The address that the tunnel says; of an IPv6 address the network, since a visitor has all the rest of it."""
    address: str = environ.get("HTTP_X_FORWARDED_FOR", "unknown").split(",")[-1].strip()
    if ":" in address:
        try:
            return str(ipaddress.ip_network((address, 64), strict=False))
        except ValueError:
            pass
    return address


def move_key(environ: WSGIEnvironment, start_response: StartResponse, key: str) -> list[bytes]:
    """Put the key into a cookie, out of the address bar, and so out of screenshots and histories."""
    prefix = environ.get("SCRIPT_NAME", "")
    cookie = f"{COOKIE}={key}; Path={prefix}/; HttpOnly; SameSite=Lax"
    secure = "; Secure" if environ.get("HTTP_X_FORWARDED_PROTO") == "https" else ""
    name = environ["PATH_INFO"].rpartition("/")[2].encode("latin-1")
    place = "./" + quote(name) + ("?" + environ["QUERY_STRING"] if environ["QUERY_STRING"] else "")
    headers = [("Location", place), ("Set-Cookie", cookie + secure), ("Content-Length", "0")]
    start_response("303 See Other", [*PRIVATE.items(), *headers])
    return [b""]


def read_keys(environ: WSGIEnvironment) -> list[str]:
    """Keys in the cookie and in the header X-Key."""
    keys = [environ[HEADER]] if HEADER in environ else []
    try:
        cookies = SimpleCookie(environ.get("HTTP_COOKIE", ""))
    except CookieError:
        return keys
    return keys + ([cookies[COOKIE].value] if COOKIE in cookies else [])


def refuse(
    start_response: Callable[[str, Headers], object], status: str, message: str, *headers: tuple[str, str]
) -> list[bytes]:
    body = describe_error(message)
    start_response(status, [*JSON_HEADERS, ("Content-Length", str(len(body))), *headers])
    return [body]
