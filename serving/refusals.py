"""What the server itself answers, to a request that never reaches the application."""

from email.utils import formatdate
from http import HTTPStatus

from serving.answers import JSON_HEADERS, describe_error


class Refusal(Exception):
    """A request that is no HTTP, or more than is taken, or comes at a bad time. The connection closes behind it."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = HTTPStatus(status)

    @property
    def body(self) -> bytes:
        return describe_error(str(self))

    @property
    def headers(self) -> list[tuple[str, str]]:
        again = [("Retry-After", "1")] if self.status == HTTPStatus.SERVICE_UNAVAILABLE else []
        return [*JSON_HEADERS, *again, ("Content-Length", str(len(self.body))), ("Connection", "close")]

    def format(self) -> bytes:
        """The whole answer, as it goes over the wire."""
        headers = [*self.headers, ("Date", formatdate(usegmt=True))]
        lines = [f"HTTP/1.1 {self.status} {self.status.phrase}", *[f"{name}: {value}" for name, value in headers]]
        return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + self.body
