"""SIGINT and SIGTERM: they ask what runs to end, and what ends it must not be interrupted in turn."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(BaseException):
    """A signal asked to end. args: its number."""


@contextmanager
def catch_signals() -> Iterator[None]:
    """Turn SIGINT and SIGTERM into Interrupted, once."""

    def interrupt(number: int, _: FrameType | None) -> None:
        ignore_signals()
        raise Interrupted(number)

    before = {one: signal.signal(one, interrupt) for one in SIGNALS}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def ignore_signals() -> None:
    for one in SIGNALS:
        signal.signal(one, signal.SIG_IGN)
