"""Callers who find no place. Telling them so costs little: there may be many, and those inside do not notice.

Such a caller is told to come back, and may do so over the same connection, which saves both sides a new one. Until then
nothing is read from it. Only a single GET without a body is answered so, since its end can be seen without a parser.
Whatever else is sent gets the same answer, and the connection ends with it.
"""

import asyncio
import contextlib
import re
import socket
import time
from collections.abc import Callable

from serving.connections import LINGER, MOST_PARTING, Connections
from serving.refusals import tell_full

MOST_OUTSIDE = 2_048  # of a worker: who have asked nothing yet, and as many who were told to come back
MOST_TOLD = 512  # callers whom a worker tells in a second to come back
LARGEST_PIECE = 8_192  # bytes read at a time

# Patterns of linear time: no character fits in two places.
PLAIN = re.compile(rb"GET /[!-~]* HTTP/1\.1\r\n([!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t -~\x80-\xff]*\r\n)+\r\n")
NOT_PLAIN = re.compile(
    rb"\n((content-length|transfer-encoding|upgrade|expect):|connection:(?![ \t]*keep-alive\r))", re.IGNORECASE
)


class Outside:
    """The callers without a place in a worker."""

    def __init__(self, house: Connections, admit: Callable[[socket.socket, bytes], bool]) -> None:
        """admit: gives one a place, with what was read already, if anything was."""
        self.house = house
        self.admit = admit
        self.loop = asyncio.get_running_loop()
        self.silent: dict[socket.socket, float] = {}  # who have asked nothing yet, and until when they may
        self.told: dict[socket.socket, float] = {}  # who are to come back, and when they are heard again
        self.parting: dict[socket.socket, float] = {}  # who have had their last answer, and until when they may take it

    @property
    def pause(self) -> int:
        """Seconds until a caller is heard again: the longer, the more there are."""
        return 1 + len(self.told) // MOST_TOLD

    def hear(self, one: socket.socket) -> None:
        """Read what somebody asks, and answer it. Who has asked nothing yet is watched."""
        try:
            asked = one.recv(LARGEST_PIECE)
        except BlockingIOError:
            self.watch(one)
            return
        except OSError:
            asked = b""
        self.forget(one)
        if not asked:
            one.close()
        elif self.admit(one, asked):
            pass
        elif len(self.told) < MOST_OUTSIDE and PLAIN.fullmatch(asked) and not NOT_PLAIN.search(asked):
            self.tell(one)
        else:
            self.part(one)

    def watch(self, one: socket.socket) -> None:
        if one in self.silent:
            return
        if len(self.silent) >= MOST_OUTSIDE:
            longest = next(iter(self.silent))
            self.forget(longest)
            self.part(longest)
        self.silent[one] = time.monotonic() + self.house.limits.arrival
        self.loop.add_reader(one, self.hear, one)

    def tell(self, one: socket.socket) -> None:
        """Tell somebody to come back."""
        if self.send(one, tell_full(self.pause, is_last=False)):
            self.told[one] = time.monotonic() + self.pause

    def part(self, one: socket.socket) -> None:
        """Tell somebody the same for the last time, and close when it was taken: closed at once, it would be lost with
        what was not read.
        """
        if not self.send(one, tell_full(self.pause, is_last=True)):
            return
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_WR)
        if len(self.parting) >= MOST_PARTING:
            one.close()
            return
        self.parting[one] = time.monotonic() + LINGER
        self.loop.add_reader(one, self.drain, one)

    def send(self, one: socket.socket, answer: bytes) -> bool:
        """Returns whether all of it was taken. Who has let so many answers lie that this one does not fit is gone."""
        self.house.shared.count("503", 0.0)
        with contextlib.suppress(OSError):
            if one.send(answer) == len(answer):
                return True
        one.close()
        return False

    def drain(self, one: socket.socket) -> None:
        """Throw away what still comes."""
        try:
            rest = one.recv(LARGEST_PIECE)
        except BlockingIOError:
            return
        except OSError:
            rest = b""
        if not rest:
            self.forget(one)
            one.close()

    def forget(self, one: socket.socket) -> None:
        if self.silent.pop(one, None) or self.parting.pop(one, None):
            self.loop.remove_reader(one)

    def look(self) -> None:
        """Hear those who have waited as they were told, or for whom there is a place. Part from who is late."""
        now, is_full = time.monotonic(), self.house.is_full
        for one, due in list(self.told.items()):
            if now >= due or not is_full:
                del self.told[one]
                self.hear(one)
                is_full = self.house.is_full
        for one in [one for one, due in self.silent.items() if now >= due]:
            self.forget(one)
            self.part(one)
        for one in [one for one, due in self.parting.items() if now >= due]:
            self.forget(one)
            one.close()

    def close(self) -> None:
        for one in [*self.silent, *self.parting]:
            self.loop.remove_reader(one)
        for one in [*self.silent, *self.parting, *self.told]:
            one.close()
