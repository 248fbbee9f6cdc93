"""HTTP/1.1 on the wire: requests out of bytes. What two readers could read differently is refused, never mended.

A reader takes what it can from the front of a connection's buffer. All patterns are linear.
"""

import re
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

LARGEST_HEAD = 32 * 1024  # bytes: the request line and the headers
LARGEST_BODY = 3 * 2**20  # bytes; the application refuses what is over its own, smaller limit with an explanation
MOST_CHUNKS = 10_000  # of one body: each costs work, however small it is
LONGEST_CHUNK_LINE = 256  # bytes: a chunk's size and its extensions
HEAVY = 4_000  # bytes of a body from which on an answer takes so long that others go first

# A method and a header's name are tokens; a # is no part of a target.
REQUEST_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([\x21\x22\x24-\x7e]+) HTTP/1\.([01])\r\n")
OTHER_VERSION = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+ [\x21-\x7e]+ HTTP/\d\.\d\r\n")
HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):([^\x00-\x08\x0a-\x1f\x7f]*)\r\n")
ABSOLUTE = re.compile(rb"[Hh][Tt][Tt][Pp][Ss]?://[^/?]+")
HOST = re.compile(rb"[!$%&'()*+,.:;=\[\]_~0-9A-Za-z-]*")
LENGTH = re.compile(rb"[0-9]{1,15}")
CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})(?:;[\t\x20-\x7e]*)?")


class WireError(Exception):
    """A request that is no HTTP, or more than is taken. The connection closes behind the answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(slots=True)
class Request:
    """A request's head, and its body once it is whole."""

    method: str
    target: str  # as it was sent, without scheme and host
    headers: dict[str, str]  # names as in CGI: CONTENT_TYPE, HTTP_X_KEY
    minor: int  # of HTTP/1.x
    keep: bool  # whether the connection stays open behind the answer
    length: int  # of the body in bytes; -1 for chunks
    expects: bool  # waits for "100 Continue" before it sends the body
    body: bytes = b""

    @property
    def path(self) -> str:
        """The path as WSGI wants it: unquoted bytes, each as one character."""
        path = self.target.partition("?")[0]
        return unquote_to_bytes(path).decode("latin-1") if "%" in path else path

    @property
    def query(self) -> str:
        return self.target.partition("?")[2]

    @property
    def is_heavy(self) -> bool:
        return len(self.body) > HEAVY


def read_head(buffer: bytearray) -> Request | None:
    """Take a request's head off the front; None while it is not whole. Raises WireError."""
    if buffer.startswith(b"\r\n"):  # left behind by careless senders of the request before
        del buffer[:2]
    end = buffer.find(b"\r\n\r\n", 0, LARGEST_HEAD + 4)
    if end < 0:
        if len(buffer) > LARGEST_HEAD:
            raise WireError(431, f"Request line and headers are larger than {LARGEST_HEAD:,} bytes.")
        if b"\n\n" in buffer or (b"\n\r\n" in buffer and b"\r\n\r\n" not in buffer):
            raise WireError(400, "Lines of a request must end with CR and LF.")
        return None
    head = bytes(buffer[: end + 2])
    del buffer[: end + 4]
    line = REQUEST_LINE.match(head)
    if not line:
        if OTHER_VERSION.match(head):
            raise WireError(505, "This server speaks HTTP/1.1.")
        raise WireError(400, "The first line is no HTTP request: METHOD /path HTTP/1.1, other characters as %XX.")
    method, target, minor = line.groups()
    return make_request(method, read_target(method, target), int(minor), read_headers(head, line.end()))


def read_target(method: bytes, target: bytes) -> str:
    if not target.startswith(b"/"):
        origin = ABSOLUTE.match(target)
        if origin:
            rest = target[origin.end() :]
            target = rest if rest.startswith(b"/") else b"/" + rest
        elif not (target == b"*" and method == b"OPTIONS"):
            raise WireError(400, "The address must begin with /.")
    return target.decode("ascii")


def read_headers(head: bytes, at: int) -> list[tuple[bytes, bytes]]:
    found = []
    while at < len(head):
        header = HEADER.match(head, at)
        if not header:
            raise WireError(400, "A header is malformed.")
        found.append((header[1].lower(), header[2].strip(b" \t")))
        at = header.end()
    return found


def make_request(method: bytes, target: str, minor: int, given: list[tuple[bytes, bytes]]) -> Request:
    """Decide the framing. Raises WireError wherever it could be read in two ways."""
    headers: dict[str, str] = {}
    length, chunked, expects, connection, hosts = None, False, False, b"", 0
    for name, value in given:
        if name == b"host":
            hosts += 1
            if not HOST.fullmatch(value):
                raise WireError(400, "The header Host is malformed.")
        elif name == b"content-length":
            if length is not None or not LENGTH.fullmatch(value):
                raise WireError(400, "Content-Length must be given once, in digits.")
            length = int(value)
        elif name == b"transfer-encoding":
            if chunked or value.lower() != b"chunked" or minor == 0:
                raise WireError(501 if minor else 400, "The only Transfer-Encoding is chunked, once, in HTTP/1.1.")
            chunked = True
            continue
        elif name == b"upgrade":
            continue  # an offer that is not taken
        elif name == b"connection":
            connection += b"," + value.lower()
        elif name == b"expect":
            if value.lower() != b"100-continue":
                raise WireError(417, "The only expectation that can be met is 100-continue.")
            expects = minor == 1
        if b"_" not in name:  # X_Key and X-Key would be one name to the application
            add_header(headers, name, value)
    if hosts != 1 and (minor == 1 or hosts):
        raise WireError(400, "There must be one header Host.")
    if chunked and length is not None:
        raise WireError(400, "A body has a Content-Length or a Transfer-Encoding, not both.")
    options = [one.strip() for one in connection.split(b",")] if connection else []
    keep = b"close" not in options if minor else b"keep-alive" in options
    size = -1 if chunked else length or 0
    if size > LARGEST_BODY:
        raise WireError(413, f"The body is larger than {LARGEST_BODY:,} bytes.")
    return Request(method.decode("ascii"), target, headers, minor, keep, size, expects and size != 0)


def add_header(headers: dict[str, str], name: bytes, value: bytes) -> None:
    key = name.decode("ascii").upper().replace("-", "_")
    if key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        key = "HTTP_" + key
    text = value.decode("latin-1")
    if key in headers:
        text = headers[key] + ("; " if key == "HTTP_COOKIE" else ",") + text
    headers[key] = text


class ChunkReader:
    """Puts a chunked body together, from as many pieces as it arrives in."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.size = 0
        self.chunks = 0
        self.in_trailer = False

    def read(self, buffer: bytearray) -> bytes | None:
        """Take whole chunks off the front; the body once the last one is there. Raises WireError."""
        at = 0
        try:
            while not self.in_trailer:
                line_end = buffer.find(b"\r\n", at, at + LONGEST_CHUNK_LINE)
                if line_end < 0:
                    if len(buffer) - at >= LONGEST_CHUNK_LINE:
                        raise WireError(400, "The size of a chunk is malformed.")
                    return None
                size = self.begin_chunk(buffer[at:line_end])
                if size == 0:
                    at, self.in_trailer = line_end + 2, True
                    break
                start, end = line_end + 2, line_end + 2 + size
                if len(buffer) < end + 2:
                    return None
                if buffer[end : end + 2] != b"\r\n":
                    raise WireError(400, "A chunk is longer than its size says.")
                self.parts.append(bytes(buffer[start:end]))
                self.size, self.chunks, at = self.size + size, self.chunks + 1, end + 2
        finally:
            del buffer[:at]
        return self.end(buffer)

    def begin_chunk(self, line: bytearray) -> int:
        match = CHUNK_SIZE.fullmatch(line)
        if not match:
            raise WireError(400, "The size of a chunk is malformed.")
        size = int(match[1], 16)
        if self.size + size > LARGEST_BODY:
            raise WireError(413, f"The body is larger than {LARGEST_BODY:,} bytes.")
        if self.chunks >= MOST_CHUNKS:
            raise WireError(413, f"The body has more than {MOST_CHUNKS:,} chunks: send larger ones.")
        return size

    def end(self, buffer: bytearray) -> bytes | None:
        """Take the trailer, which nobody reads."""
        if buffer.startswith(b"\r\n"):
            del buffer[:2]
            return b"".join(self.parts)
        end = buffer.find(b"\r\n\r\n", 0, LARGEST_HEAD)
        if end < 0:
            if len(buffer) >= LARGEST_HEAD:
                raise WireError(431, f"The trailer is larger than {LARGEST_HEAD:,} bytes.")
            return None
        names = {name for name, _ in read_headers(bytes(buffer[: end + 2]), 0)}
        if names & {b"content-length", b"transfer-encoding", b"host"}:
            raise WireError(400, "A trailer must not speak of the body's length or the host.")
        del buffer[: end + 4]
        return b"".join(self.parts)
