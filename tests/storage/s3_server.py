"""moto's S3 as a server, for the tests: `python s3_server.py BUCKET HOST PORT LOG` prints its port and serves until
killed. Each request becomes a line of LOG.

Not imported by any test: it runs in an environment of its own, since moto brings older libraries. A request is answered
after the one before it, as a store answers those for one object: moto by itself looks at a condition and writes later.
"""

import sys
import threading
from collections.abc import Callable, Iterable
from io import BytesIO
from pathlib import Path

from moto.core import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

Environ = dict[str, object]


class InTurn:
    """An application that reads a request whole, then waits for its turn."""

    def __init__(self, app: Callable[..., Iterable[bytes]], log: Path) -> None:
        self.app = app
        self.log = log
        self.turn = threading.Lock()

    def __call__(self, environ: Environ, start_response: Callable[..., object]) -> list[bytes]:
        length = int(str(environ.get("CONTENT_LENGTH") or 0))
        if not environ.get("wsgi.input_terminated"):
            environ["wsgi.input"] = BytesIO(environ["wsgi.input"].read(length))  # type: ignore[attr-defined]
        with self.turn:
            said: list[str] = []

            def answer(status: str, *rest: object) -> object:
                said.append(status)
                return start_response(status, *rest)

            body = list(self.app(environ, answer))
            with self.log.open("a") as file:
                file.write(f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']} {said[-1][:3]}\n")
            return body


class KeepAlive(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, *_: object) -> None:
        """Say nothing."""


if __name__ == "__main__":
    bucket, host, port, log = sys.argv[1:]
    s3_backends[DEFAULT_ACCOUNT_ID]["aws"].create_bucket(bucket, "us-east-1")
    app = InTurn(DomainDispatcherApplication(create_backend_app), Path(log))
    server = make_server(host, int(port), app, threaded=True, request_handler=KeepAlive)
    print(server.server_port, flush=True)
    server.serve_forever()
