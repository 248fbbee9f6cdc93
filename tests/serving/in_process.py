"""The server's worker in a thread of the test, with limits of the test's choice."""

import threading
from types import SimpleNamespace

from flask import Flask

from serving.connection import Limits
from serving.server import listen, tell_address
from serving.shared import Shared
from serving.worker import Door, Worker
from serving.wsgi import Caller

GRANTED = Limits()


def start_worker(app: Flask, limits: Limits = GRANTED, doors: int = 1, workers: int = 1) -> SimpleNamespace:
    """A worker that answers on `url` (`port`, `ports`) until `stop` is called.

    workers: how many it believes that its server has.
    """
    listeners = [listen("127.0.0.1", 0) for _ in range(doors)]
    ports = [listener.getsockname()[1] for listener in listeners]
    callers = [Caller(app.wsgi_app, "127.0.0.1", port) for port in ports]
    shared = Shared()
    shared.workers = workers
    worker = Worker([Door(*one) for one in zip(listeners, callers, strict=True)], shared, limits)
    thread = threading.Thread(target=worker.run, daemon=True)
    thread.start()

    def stop() -> None:
        worker.stop()
        thread.join(10)
        for listener in listeners:
            listener.close()

    return SimpleNamespace(url=tell_address(listeners[0]), port=ports[0], ports=ports, worker=worker, stop=stop)
