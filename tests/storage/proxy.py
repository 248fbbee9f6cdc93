"""A store that goes wrong in the middle: a server before the real one, which answers some requests itself."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

# Of a method and a path: a status, "hang", an answer, or None for the real one.
Fault = Callable[[str, str], int | str | bytes | None]
ERROR = b"<?xml version='1.0'?><Error><Code>AccessDenied</Code><Message>No.</Message></Error>"


class Proxy:
    """url: its address. fault: what to answer instead, exchanged while it runs. log: the requests."""

    def __init__(self, behind: str) -> None:
        self.behind = urlsplit(behind)
        self.fault: Fault = lambda method, path: None
        self.log: list[tuple[str, str]] = []
        self.released = threading.Event()
        self.url = ""


def make_handler(proxy: Proxy) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1

        def log_message(self, *_: object) -> None:
            """Say nothing."""

        def pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            path = unquote(urlsplit(self.path).path)
            proxy.log.append((self.command, path))
            match proxy.fault(self.command, path):
                case None:
                    connection = HTTPConnection(proxy.behind.hostname or "", proxy.behind.port)
                    connection.request(self.command, self.path, body, dict(self.headers))
                    answer = connection.getresponse()
                    self.answer(answer.status, answer.headers.items(), answer.read())
                case "hang":
                    proxy.released.wait(60)
                    self.close_connection = True
                case bytes() as answer:
                    self.answer(200, [], answer)
                case status:
                    self.answer(int(status), [], ERROR)

        def answer(self, status: int, headers, body: bytes) -> None:
            self.send_response_only(status)
            for name, value in headers:
                if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                    self.send_header(name, value)
            length = dict(headers).get("Content-Length") if self.command == "HEAD" else None
            self.send_header("Content-Length", length or str(len(body)))
            self.end_headers()
            self.wfile.write(b"" if self.command == "HEAD" else body)

        do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = pass_on  # noqa: N815

    return Handler


@contextmanager
def put_between(behind: str) -> Iterator[Proxy]:
    """Serve before the store at an address until the end of the block."""
    proxy = Proxy(behind)
    server = ThreadingHTTPServer(("127.0.0.1", 0), make_handler(proxy))
    server.daemon_threads = True
    proxy.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield proxy
    finally:
        proxy.released.set()
        server.shutdown()
        server.server_close()
