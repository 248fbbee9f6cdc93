"""Many connections at once. Counts are compared with counts of the same run, never with seconds."""

import errno
import selectors
import socket
import time
from collections import Counter

import httpx
import psutil
import pytest
from running import QUESTION

from serving.server import MOST_CONNECTIONS, raise_file_limit

REQUEST = f"GET {QUESTION} HTTP/1.1\r\nHost: x\r\n\r\n".encode()


class Callers:
    """Clients that ask, read the answer and ask again, as fast as one process can play them all.

    One that is refused comes back when it was told to; one whose connection breaks, at once.
    """

    def __init__(self, url: str, number: int) -> None:
        host, port = url.removeprefix("http://").split(":")
        self.address = (host, int(port))
        self.selector = selectors.DefaultSelector()
        self.seen = Counter()
        self.arrived: dict[socket.socket, bytes] = {}  # of answers that are not whole yet
        self.away: list[float] = []  # when those come back that were refused
        for _ in range(number):
            self.connect()

    def connect(self) -> None:
        one = socket.socket()
        one.setblocking(False)
        assert one.connect_ex(self.address) in (0, errno.EINPROGRESS)
        self.selector.register(one, selectors.EVENT_WRITE)

    def call(self, seconds: float) -> Counter:
        """What was seen in so many seconds: answers by status, and broken connections."""
        self.seen.clear()
        end = time.monotonic() + seconds
        while (now := time.monotonic()) < end:
            while self.away and self.away[0] <= now:
                self.away.pop(0)
                self.connect()
            for key, mask in self.selector.select(0.05):
                self.step(key.fileobj, mask)
        return Counter(self.seen)

    def step(self, one: socket.socket, mask: int) -> None:
        try:
            if mask & selectors.EVENT_WRITE:
                one.send(REQUEST)
                self.selector.modify(one, selectors.EVENT_READ)
                return
            piece = one.recv(65_536)
        except OSError:
            piece = b""
        answer = self.arrived.pop(one, b"") + piece
        if piece and (not answer.endswith(b"\n") or answer.endswith(b"\r\n")):  # the body is a line
            self.arrived[one] = answer
            return
        status = answer[9:12].decode() or "broken"
        self.seen[status] += 1
        if status == "200":
            one.send(REQUEST)
            return
        self.selector.unregister(one)
        one.close()
        if status == "503":
            assert b"\r\nretry-after: 1\r\n" in answer.lower()
            self.away.append(time.monotonic() + 1)
        else:
            self.connect()

    def close(self) -> None:
        for key in list((self.selector.get_map() or {}).values()):
            key.fileobj.close()
        self.selector.close()


@pytest.fixture
def call(start):
    """Starts a server, and callers of it."""
    raise_file_limit(20_000)
    process, url = start()
    groups = []

    def begin(number: int) -> Callers:
        groups.append(Callers(url, number))
        return groups[-1]

    begin.url, begin.workers = url, psutil.Process(process.pid).children()
    yield begin
    for group in groups:
        group.close()


def measure(call, number: int, begin: str = "200") -> tuple[Counter, float]:
    """What so many callers see in some seconds, and the good answers for each second that the workers computed.

    The second number does not depend on what else the machine does meanwhile. begin: the status that somebody must have
    seen before: on a busy machine it takes a while until all have come.
    """
    callers = call(number)
    patience = time.monotonic() + 30
    while begin not in callers.call(1.5) and time.monotonic() < patience:
        pass
    before = count_work(call)
    seen = callers.call(2.0)
    rate = seen["200"] / (count_work(call) - before)
    callers.close()
    return seen, rate


def count_work(call) -> float:
    return sum(sum(worker.cpu_times()[:2]) for worker in call.workers)


def test_256_connections_are_served_as_well_as_16(call):
    """By the work that an answer costs, and by their number as well: who waits for others needs no work."""
    few, best = measure(call, 16)
    many, rate = measure(call, 256)
    assert set(few) == set(many) == {"200"}
    assert rate > 0.75 * best
    assert many["200"] > 0.2 * few["200"]


def test_ten_times_the_load_is_refused_in_good_order(call):
    """Whoever finds a place is served as well as before. The others are told to come back, at most once a second each,
    and no connection breaks. Memory stays what it was, and afterwards all is well.
    """
    _, best = measure(call, 256)
    memory = sum(worker.memory_info().rss for worker in call.workers)
    seen, rate = measure(call, 10 * 256, "503")
    assert set(seen) == {"200", "503"}
    assert rate > 0.75 * best
    assert seen["503"] < 1.5 * 2 * (10 * 256 - MOST_CONNECTIONS)
    assert sum(worker.memory_info().rss for worker in call.workers) < memory + 20 * 2**20
    assert httpx.get(call.url + QUESTION).json() == 10_580


def test_idle_connections_keep_nobody_out(call):
    """A full house of callers that have asked once, or never, and then keep silent: newcomers take their places."""
    host, port = call.url.removeprefix("http://").split(":")
    idle = [socket.create_connection((host, int(port))) for _ in range(MOST_CONNECTIONS + 100)]
    for one in idle[:-200]:
        one.sendall(REQUEST)
    time.sleep(1.5)
    seen, _ = measure(call, 16)
    assert set(seen) == {"200"}
    for one in idle:
        one.close()
