"""The HTTP server: waitress, on two ports of loopback if there is a tunnel."""

import logging
import socket
import sys
import threading
import time
from contextlib import suppress

import waitress
from flask import Flask
from waitress.channel import HTTPChannel

from serving.errors import ServingError

THREADS = 2  # an answer is all computing, so more only wait for one another; two, so that no long batch holds up all
TURN = 0.001  # seconds a thread computes before another may: the one that reads the network must not starve behind them
READ_AT_ONCE = 256 * 1024  # bytes; each read waits for the interpreter, so a flood read in small pieces stays unseen
MOST_CONNECTIONS = 200
MOST_WAITING = 64  # requests that wait for a thread; with more the server says 503
SLOW_CLIENT = 15  # seconds without a byte
LONGEST_ARRIVAL = 20  # seconds from a request's first byte to its last
LARGEST_HEADER = 32 * 1024  # bytes, the request line among them
LARGEST_BODY = 3 * 2**20  # bytes; the application refuses what is over its own, smaller limit with an explanation


class ImpatientChannel(HTTPChannel):
    """Closes a connection whose request takes too long to arrive, though a byte comes now and then."""

    began: float | None = None

    def received(self, data: bytes) -> bool:
        if self.began is None:
            self.began = time.monotonic()
        result = super().received(data)
        if self.request is None:
            self.began = None
        elif time.monotonic() - self.began > LONGEST_ARRIVAL:
            self.will_close = True
        return result


class Server:
    """A server of an application on `host`:`port` (0 for any free port), in a thread that ends with the process."""

    def __init__(self, app: Flask, host: str = "127.0.0.1", port: int = 0) -> None:
        self.app = app
        self.sockets = [listen(host, port), listen("127.0.0.1", 0)]
        self.port, self.tunnel_port = (one.getsockname()[1] for one in self.sockets)
        app.guard.tunnel_port = self.tunnel_port
        # Waiting is normal; too much of it is answered with 503.
        logging.getLogger("waitress.queue").setLevel(logging.ERROR)
        self._server = waitress.create_server(
            app,
            sockets=self.sockets,
            threads=THREADS,
            recv_bytes=READ_AT_ONCE,
            connection_limit=MOST_CONNECTIONS,
            channel_timeout=SLOW_CLIENT,
            cleanup_interval=5,
            max_request_header_size=LARGEST_HEADER,
            max_request_body_size=LARGEST_BODY,
            clear_untrusted_proxy_headers=False,  # the guard reads them, from the tunnel's port only
            ident=None,
        )
        for listener in self._server.map.values():
            listener.channel_class = ImpatientChannel
        app.guard.is_overloaded = self._is_overloaded
        self._thread = threading.Thread(target=self.run, name="waitress", daemon=True)

    @property
    def url(self) -> str:
        return f"http://{self.sockets[0].getsockname()[0]}:{self.port}"

    def start(self) -> "Server":
        self._thread.start()
        return self

    def run(self) -> None:
        """Serve until `stop`."""
        sys.setswitchinterval(TURN)
        with suppress(OSError):  # the sockets are closed under its hands
            self._server.run()

    def stop(self) -> None:
        self._server.close()

    def _is_overloaded(self) -> bool:
        return len(self._server.task_dispatcher.queue) > MOST_WAITING


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises ServingError, with the remedy, if the port is taken or cannot be."""
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        one.bind((host, port))
    except (OSError, OverflowError) as error:
        one.close()
        why = error.strerror if isinstance(error, OSError) else "ports go from 0 to 65535"
        raise ServingError(
            f"Port {port} of {host} cannot be used ({why}): choose another with --port, or another host with --host."
        ) from None
    return one
