"""SIGINT and SIGTERM: they ask what runs to end, and what ends it must not be interrupted in turn."""

import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from threading import Event, Thread, current_thread, main_thread
from types import FrameType
from typing import TypeVar

SIGNALS = (signal.SIGINT, signal.SIGTERM)
BLINK = 0.5  # seconds
PATIENCE = 10  # seconds for one request of what ends a process that was asked to end
ASKED_TO_END = Event()
Answer = TypeVar("Answer")


class Interrupted(BaseException):
    """A signal asked to end. args: its number."""


@contextmanager
def catch_signals() -> Iterator[None]:
    """Turn SIGINT and SIGTERM into Interrupted, once."""

    def interrupt(number: int, _: FrameType | None) -> None:
        ignore_signals()
        ASKED_TO_END.set()
        raise Interrupted(number)

    before = {one: signal.signal(one, interrupt) for one in SIGNALS}
    try:
        yield
    finally:
        ASKED_TO_END.clear()
        for one, handler in before.items():
            signal.signal(one, handler)


def ignore_signals() -> None:
    for one in SIGNALS:
        signal.signal(one, signal.SIG_IGN)


def wait_for(request: Callable[[], Answer]) -> Answer:
    """Have a thread wait for a server, so that a signal need not: Python handles none while a library is at work.

    Raises what the request does, and TimeoutError where the process was asked to end and no answer comes.
    """
    if current_thread() is not main_thread():  # to which signals go
        return request()
    done: Future[Answer] = Future()

    def work() -> None:
        try:
            done.set_result(request())
        except BaseException as error:
            done.set_exception(error)

    Thread(target=work, daemon=True).start()
    began = time.monotonic()
    while not wait([done], BLINK).done:  # one long wait would sleep through a signal that comes just before it
        if ASKED_TO_END.is_set() and time.monotonic() - began > PATIENCE:
            raise TimeoutError
    return done.result()
