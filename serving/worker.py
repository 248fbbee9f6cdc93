"""A process's part of the server: uvicorn, with the application behind it and a guard before it."""

import asyncio
import os
import signal
import socket
import sys
from types import FrameType
from wsgiref.types import WSGIApplication

import uvicorn

from serving.bridge import Bridge
from serving.connections import Connections, Limits
from serving.entrance import Entrance
from serving.protocol import GuardedProtocol
from serving.shared import Shared

BACKLOG = 4_096  # connections that wait in the kernel to be accepted
LAST_WORDS = 2  # seconds for requests under way when it ends


class Worker(uvicorn.Server):
    """Serves until SIGTERM, until `should_exit` is set, or until the process that started it is gone."""

    def __init__(self, application: WSGIApplication, shared: Shared, limits: Limits, parent: int) -> None:
        """parent: the id of that process."""
        self.house = Connections(shared, limits)
        self.parent = parent
        self.protocol: type[GuardedProtocol] = type("Protocol", (GuardedProtocol,), {"house": self.house})
        super().__init__(
            uvicorn.Config(
                Bridge(application, shared),
                http=self.protocol,
                interface="asgi3",
                ws="none",
                lifespan="off",
                log_config=None,
                log_level="error",
                access_log=False,
                proxy_headers=False,
                server_header=False,
                backlog=BACKLOG,
                timeout_keep_alive=round(limits.idle + 1),  # `Connections.look` comes first
                timeout_graceful_shutdown=LAST_WORDS,
            )
        )

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Called by uvicorn, which is left to accept connections where nobody else can: on Windows."""
        if sys.platform == "win32":
            await super().startup(sockets)
            return
        await super().startup([])
        self.entrance = Entrance(self.house, self.make_protocol, sockets or [])

    def make_protocol(self, ticket: socket.socket, early: bytes) -> asyncio.Protocol:
        return self.protocol(self.config, self.server_state, self.lifespan.state, ticket=ticket, early=early)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if sys.platform != "win32":
            self.entrance.close()
        await super().shutdown(sockets)

    async def on_tick(self, counter: int) -> bool:
        """Called by uvicorn ten times a second."""
        self.house.look()
        if sys.platform != "win32":
            self.entrance.outside.look()
        return await super().on_tick(counter) or os.getppid() != self.parent

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Ctrl-C reaches all processes of a terminal; where there is a parent it decides."""
        if sig != signal.SIGINT or not hasattr(os, "fork"):
            super().handle_exit(sig, frame)
