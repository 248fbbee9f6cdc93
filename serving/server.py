"""waitress with bounds: a queue that refuses instead of growing, and no patience for clients that trickle."""

import errno
import json
import threading
import time

from waitress.channel import HTTPChannel
from waitress.server import create_server
from waitress.task import ThreadedTaskDispatcher

from serving.app import LARGEST_BODY
from serving.errors import ServingError

THREADS = 4
MOST_WAITING = 64  # requests in the queue; more are answered 503 at once
MOST_CONNECTIONS = 512
LARGEST_HEADERS = 32 * 1024  # bytes
REQUEST_SECONDS = 20  # from a request's first byte to its last


class ImpatientChannel(HTTPChannel):
    """Closes a connection whose request takes too long to arrive, a byte now and then included."""

    began: float | None = None

    def received(self, data: bytes) -> bool:
        if self.began is None:
            self.began = time.monotonic()
        result = super().received(data)
        if self.request is None:
            self.began = None
        elif time.monotonic() - self.began > REQUEST_SECONDS:
            self.will_close = True
        return result


class Server:
    """An application on an address, served by threads that end with the process. Raises ServingError if the port is taken."""

    def __init__(self, app, host: str = "127.0.0.1", port: int = 0) -> None:
        self._dispatcher = ThreadedTaskDispatcher()
        self._dispatcher.set_thread_count(THREADS)
        try:
            self._waitress = create_server(
                shed_load(app, self._dispatcher.queue),
                map={},
                _dispatcher=self._dispatcher,
                host=host,
                port=port,
                connection_limit=MOST_CONNECTIONS,
                channel_timeout=REQUEST_SECONDS,
                cleanup_interval=5,
                max_request_body_size=LARGEST_BODY,
                max_request_header_size=LARGEST_HEADERS,
                ident=None,
            )
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise ServingError(f"Cannot listen on {host}:{port}: {error.strerror}.") from error
            raise ServingError(f"Port {port} is taken: choose another by --port, or 0 for any free one.") from error
        self._waitress.channel_class = ImpatientChannel
        self.port = self._waitress.effective_port
        self.url = f"http://{host}:{self.port}"
        self._thread = threading.Thread(target=self._waitress.run, name="server", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._waitress.close()
        self._dispatcher.shutdown(timeout=2)


def shed_load(app, queue):
    """Answer 503 at once while too many requests wait: the queue drains, and who comes back later is served."""
    body = json.dumps({"error": "Too many requests are waiting; come back in a second."}).encode()

    def answer(environ, start_response):
        if len(queue) <= MOST_WAITING:
            return app(environ, start_response)
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body))), ("Retry-After", "1")]
        start_response("503 Service Unavailable", headers)
        return [body]

    return answer
