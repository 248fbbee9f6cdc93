"""The server's worker in a thread of the test, with limits of the test's choice."""

import os
import threading
import time
from types import SimpleNamespace
from wsgiref.types import WSGIApplication

from serving.connections import Limits
from serving.server import listen, tell_address
from serving.shared import Shared
from serving.worker import Worker

GRANTED = Limits()


def start_worker(application: WSGIApplication, limits: Limits = GRANTED) -> SimpleNamespace:
    """A worker that answers on `url` (`port`) until `stop` is called."""
    listener = listen("127.0.0.1", 0)
    url, port = tell_address(listener), listener.getsockname()[1]
    worker = Worker(application, Shared(), limits, os.getppid())
    thread = threading.Thread(target=worker.run, args=([listener],), daemon=True)
    thread.start()
    while not worker.started:
        time.sleep(0.01)

    def stop() -> None:
        worker.should_exit = True
        thread.join(10)

    return SimpleNamespace(url=url, port=port, worker=worker, stop=stop)
