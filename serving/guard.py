"""What stands between the network and the application: overload, URL lengths, the tunnel's key and rate, counters.

The tunnel has a port of its own on loopback. A request that came in there came from the public link; no header
decides it.
"""

import hmac
import json
import time
from collections.abc import Callable, Iterable
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl, urlencode

from limits import parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

LONGEST_URL = 8_000  # characters
KEY_NAME = "key"
COOKIE = "market_key"
HEADER = "HTTP_X_KEY"
TUNNEL_RATE = parse("120/minute")  # of one visitor, by the address that the tunnel forwards
PRIVATE_PATHS = ("/metrics",)  # never answered through the tunnel


class Guard:
    """WSGI middleware around the application. `tunnel_port` and `key` are set when a tunnel opens."""

    def __init__(self, application: Callable, registry: CollectorRegistry) -> None:
        self.application = application
        self.registry = registry
        self.tunnel_port: int | None = None
        self.key = ""
        self.is_overloaded: Callable[[], bool] = lambda: False
        self.rates = MovingWindowRateLimiter(MemoryStorage())
        self.requests = Counter("http_requests", "Answers by status", ["status"], registry=registry)
        self.seconds = Histogram("http_request_seconds", "Time to answer", registry=registry)

    def expose(self) -> bytes:
        """The counters in Prometheus' text format."""
        return generate_latest(self.registry)

    def __call__(self, environ: dict, start_response: Callable) -> Iterable[bytes]:
        start = time.perf_counter()

        def counting_start(status: str, headers: list, exc_info=None) -> Callable:
            self.requests.labels(status[:3]).inc()
            self.seconds.observe(time.perf_counter() - start)
            return start_response(status, headers, exc_info)

        if self.is_overloaded():
            return refuse(
                counting_start, "503 Service Unavailable", "Too many requests wait already.", ("Retry-After", "1")
            )
        if len(environ["PATH_INFO"]) + len(environ["QUERY_STRING"]) > LONGEST_URL:
            return refuse(counting_start, "414 URI Too Long", f"The URL is longer than {LONGEST_URL} characters.")
        if self.tunnel_port and environ["SERVER_PORT"] == str(self.tunnel_port):
            return self.answer_visitor(environ, counting_start)
        return self.application(environ, counting_start)

    def answer_visitor(self, environ: dict, start_response: Callable) -> Iterable[bytes]:
        """A request through the public link: it needs the key, keeps to the rate, and does not see everything."""
        visitor = environ.get("HTTP_X_FORWARDED_FOR", "unknown").split(",")[-1].strip()
        if not self.rates.hit(TUNNEL_RATE, visitor):
            wait = max(1, int(self.rates.get_window_stats(TUNNEL_RATE, visitor).reset_time - time.time()))
            message = f"More than {TUNNEL_RATE.amount} requests in a minute."
            return refuse(start_response, "429 Too Many Requests", message, ("Retry-After", str(wait)))
        arguments = parse_qsl(environ["QUERY_STRING"], keep_blank_values=True)
        given = [value for name, value in arguments if name == KEY_NAME]
        known = bool(self.key) and any(
            hmac.compare_digest(one.encode(), self.key.encode()) for one in [*given, *read_keys(environ)]
        )
        if not known:
            return refuse(
                start_response, "401 Unauthorized", "This link needs its key: ask the sender for the whole link."
            )
        if environ["PATH_INFO"].rstrip("/") in PRIVATE_PATHS:
            return refuse(start_response, "404 Not Found", "Not available through a link.")
        rest = urlencode([(name, value) for name, value in arguments if name != KEY_NAME])
        if given and environ["PATH_INFO"] == "/":
            # Keep the key out of the address bar, and so out of screenshots and histories.
            cookie = f"{COOKIE}={self.key}; Path=/; HttpOnly; SameSite=Lax"
            secure = "; Secure" if environ.get("HTTP_X_FORWARDED_PROTO") == "https" else ""
            start_response(
                "303 See Other", [("Location", "/"), ("Set-Cookie", cookie + secure), ("Content-Length", "0")]
            )
            return [b""]
        if given:
            environ["QUERY_STRING"] = rest
        return self.application(environ, start_response)


def read_keys(environ: dict) -> list[str]:
    """Keys in the cookie and in the header X-Key."""
    keys = [environ[HEADER]] if HEADER in environ else []
    try:
        cookies = SimpleCookie(environ.get("HTTP_COOKIE", ""))
    except CookieError:
        return keys
    return keys + ([cookies[COOKIE].value] if COOKIE in cookies else [])


def refuse(start_response: Callable, status: str, message: str, *headers: tuple[str, str]) -> list[bytes]:
    body = json.dumps({"error": message}).encode()
    base = [("Content-Type", "application/json"), ("Content-Length", str(len(body))), ("Cache-Control", "no-store")]
    start_response(status, [*base, *headers])
    return [body]
