"""How newcomers come in: accepted in bounded numbers, in each turn of the loop, by the worker that has fewer.

uvloop itself accepts one a turn. With hundreds of busy connections a turn takes some 25 ms, and the rest would wait for
seconds. Accepting all of them at once would be no better: those who connect again at once when they are refused would
leave no time for the others.
"""

import asyncio
import socket
from collections.abc import Callable, Sequence
from functools import partial

from serving.connections import Connections
from serving.outside import Outside

PART = 3  # a newcomer in a turn for so many answers that were given since the last, and one more
SLACK = 1  # connections that a worker may have over the mean and still take another
DEFER = 0.002  # seconds that it leaves to the others to take it
MOST_DEFERRED = 10  # times in a row; then they are busy
RETRY = 0.1  # seconds until it is tried again where the system had nothing left, files for example


class Entrance:
    """Watches listening sockets, and lets newcomers in, or has them wait outside."""

    def __init__(
        self,
        house: Connections,
        make_protocol: Callable[[socket.socket, bytes], asyncio.Protocol],
        listeners: Sequence[socket.socket],
    ) -> None:
        """make_protocol: for a connection that was promised a place, and what was read of it already."""
        self.house = house
        self.make_protocol = make_protocol
        self.listeners = listeners
        self.outside = Outside(house, self.admit)
        self.loop = asyncio.get_running_loop()
        self.tasks: set[asyncio.Task[None]] = set()  # connections that are being made
        self.answered = 0  # requests, when it was last looked
        self.deferred = 0  # times in a row
        self.is_open = True
        for listener in listeners:
            listener.setblocking(False)
            self.watch(listener)

    def watch(self, listener: socket.socket) -> None:
        if self.is_open:
            self.loop.add_reader(listener, self.accept, listener)

    def rest(self, listener: socket.socket, seconds: float) -> None:
        self.loop.remove_reader(listener)
        self.loop.call_later(seconds, self.watch, listener)

    def accept(self, listener: socket.socket) -> None:
        if self.deferred < MOST_DEFERRED and self.house.surplus > SLACK:
            self.deferred += 1
            self.rest(listener, DEFER)
            return
        self.deferred = 0
        answered, self.answered = self.house.answered - self.answered, self.house.answered
        for _ in range(1 + answered // PART):
            try:
                one, _ = listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError:
                self.house.make_room()
                self.rest(listener, RETRY)
                return
            one.setblocking(False)
            if not self.admit(one):
                self.outside.hear(one)

    def admit(self, one: socket.socket, early: bytes = b"") -> bool:
        """Give a caller a place. early: what was read already. Returns whether there was one."""
        if not self.house.has_room():
            return False
        self.house.promised.add(one)
        task = self.loop.create_task(self.connect(one, early))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return True

    async def connect(self, one: socket.socket, early: bytes) -> None:
        try:
            await self.loop.connect_accepted_socket(partial(self.make_protocol, one, early), one)
        except OSError:  # gone again
            one.close()
        finally:
            self.house.promised.discard(one)

    def close(self) -> None:
        self.is_open = False
        self.outside.close()
        for listener in self.listeners:
            self.loop.remove_reader(listener)
