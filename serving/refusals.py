"""What the server itself answers, to a request that never reaches the application."""

from email.utils import formatdate
from functools import cache
from http import HTTPStatus

from serving.answers import JSON_HEADERS, describe_error

FULL = "All places are taken."


class Refusal(Exception):
    """A request that is no HTTP, or more than is taken, or comes at a bad time. The connection closes behind it, unless
    the caller may ask again over the same one.
    """

    def __init__(self, status: int, message: str, *, is_last: bool = True, wait: int = 1) -> None:
        """wait: seconds until it is worth while to ask again, where it is."""
        super().__init__(message)
        self.status = HTTPStatus(status)
        self.is_last = is_last
        self.wait = wait

    @property
    def body(self) -> bytes:
        return describe_error(str(self))

    @property
    def headers(self) -> list[tuple[str, str]]:
        again = [("Retry-After", str(self.wait))] if self.status == HTTPStatus.SERVICE_UNAVAILABLE else []
        end = [("Connection", "close")] if self.is_last else []
        return [*JSON_HEADERS, *again, ("Content-Length", str(len(self.body))), *end]

    def format(self) -> bytes:
        """The whole answer, as it goes over the wire."""
        date = [("Date", formatdate(usegmt=True))] if self.status < HTTPStatus.INTERNAL_SERVER_ERROR else []
        headers = [*self.headers, *date]  # an error of the server needs none
        lines = [f"HTTP/1.1 {self.status} {self.status.phrase}", *[f"{name}: {value}" for name, value in headers]]
        return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + self.body


@cache
def tell_full(wait: int, is_last: bool) -> bytes:
    """The answer to a caller who finds no place and may come back after `wait` seconds."""
    return Refusal(503, FULL, is_last=is_last, wait=wait).format()
