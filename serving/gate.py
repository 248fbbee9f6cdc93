"""What stands between a public link and the application: a key, a rate limit, and no way to the metrics.

The tunnel ends at a port of its own with this gate before the application, so no header decides what is public.
"""

import hmac
import secrets
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl, urlencode

from limits import parse
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter
from werkzeug.wrappers import Response

RATE = parse("240/minute")  # of one visitor, by the address that the tunnel forwards
COOKIE = "key"
HEADER = "HTTP_X_KEY"
CLOSED = ("/metrics",)


class Gate:
    """WSGI middleware for requests from the tunnel. key: part of the link, then kept in a cookie; programs send X-Key."""

    def __init__(self, app) -> None:
        self.app = app
        self.key = secrets.token_urlsafe(16)
        self._limiter = FixedWindowRateLimiter(MemoryStorage())

    def __call__(self, environ, start_response):
        response = self.refuse(environ)
        return (response or self.app)(environ, start_response)

    def refuse(self, environ) -> Response | None:
        """What to answer instead of the application; None lets the request through."""
        visitor = environ.get("HTTP_X_FORWARDED_FOR", "").rpartition(",")[2].strip()
        if not self._limiter.hit(RATE, visitor):
            return tell(429, "Too many requests from your address; come back in a minute.", {"Retry-After": "60"})
        query = parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True)
        given = [value for name, value in query if name == "key"]
        if any(map(self.fits, given)):
            return self.keep_key(environ, [pair for pair in query if pair[0] != "key"])
        if not self.fits(environ.get(HEADER, "")) and not self.fits(read_cookie(environ)):
            return tell(401, "This page is shared by a link with a key: open the whole link, or send the key as X-Key.")
        if environ["PATH_INFO"] in CLOSED:
            return tell(404, "Not to be had through the public link.")
        return None

    def fits(self, key: str) -> bool:
        return hmac.compare_digest(key.encode(errors="replace"), self.key.encode())

    def keep_key(self, environ, query: list[tuple[str, str]]) -> Response:
        """Put the key into a cookie and go to the same place without it, so that it stays out of histories and logs."""
        place = "." + environ["PATH_INFO"] if environ["PATH_INFO"] == "/" else environ["PATH_INFO"].split("/")[-1]
        response = Response(status=303, headers={"Location": place + ("?" + urlencode(query) if query else "")})
        response.autocorrect_location_header = False
        response.set_cookie(COOKIE, self.key, httponly=True, secure=True, samesite="Lax")
        response.headers["Referrer-Policy"] = "no-referrer"
        return response


def read_cookie(environ) -> str:
    try:
        cookies = SimpleCookie(environ.get("HTTP_COOKIE", ""))
    except CookieError:
        return ""
    return cookies[COOKIE].value if COOKIE in cookies else ""


def tell(status: int, message: str, headers: dict[str, str] | None = None) -> Response:
    return Response(f'{{"error": "{message}"}}', status, headers, mimetype="application/json")
