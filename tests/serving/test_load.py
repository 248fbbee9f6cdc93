"""Many connections at once. Counts are compared with counts of the same run, never with seconds."""

import errno
import heapq
import re
import selectors
import socket
import statistics
import time
from collections import Counter

import httpx
import psutil
import pytest
from running import QUESTION, fetch

from serving.server import MOST_CONNECTIONS, raise_file_limit

SECONDS = 1.5  # of each count
AGAIN = re.compile(rb"\r\nretry-after: (\d)\r\n", re.IGNORECASE)
REQUEST = f"GET {QUESTION} HTTP/1.1\r\nHost: x\r\n\r\n".encode()


class Callers:
    """Clients that ask, read the answer and ask again, as fast as one process can play them all.

    One that is refused comes back when it was told to, or, if they are hasty, at once; one whose connection breaks, at
    once. Newcomers are watched: how many good answers the others were given while each of them waited for its first.
    """

    def __init__(self, url: str, number: int, is_hasty: bool = False) -> None:
        host, port = url.removeprefix("http://").split(":")
        self.address = (host, int(port))
        self.selector = selectors.DefaultSelector()
        self.seen = Counter()
        self.arrived: dict[socket.socket, bytes] = {}  # of answers that are not whole yet
        self.is_hasty = is_hasty
        self.away: list[float] = []  # when those come back that were refused, the first one first
        self.begun: dict[socket.socket, int] = {}  # newcomers, and the good answers when they came
        self.waits: dict[str, list[int]] = {}  # by the status that they were answered with
        for _ in range(number):
            self.connect()

    def connect(self) -> None:
        one = socket.socket()
        one.setblocking(False)
        assert one.connect_ex(self.address) in (0, errno.EINPROGRESS)
        self.selector.register(one, selectors.EVENT_WRITE)
        self.begun[one] = self.seen["200"]

    def call(self, seconds: float) -> Counter:
        """What was seen in so many seconds: answers by status, and broken connections."""
        self.seen.clear()
        self.waits.clear()
        self.begun = dict.fromkeys(self.begun, 0)
        end = time.monotonic() + seconds
        while (now := time.monotonic()) < end:
            while self.away and self.away[0] <= now:
                heapq.heappop(self.away)
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
        if one in self.begun:
            self.waits.setdefault(status, []).append(self.seen["200"] - self.begun.pop(one))
        if status == "200":
            one.send(REQUEST)
            return
        self.selector.unregister(one)
        one.close()
        if status == "503" and not self.is_hasty:
            heapq.heappush(self.away, time.monotonic() + int(AGAIN.search(answer)[1]))
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

    def begin(*arguments) -> Callers:
        groups.append(Callers(url, *arguments))
        return groups[-1]

    begin.url, begin.workers = url, psutil.Process(process.pid).children()
    yield begin
    for group in groups:
        group.close()


def measure(
    call, number: int, begin: str = "200", is_hasty: bool = False
) -> tuple[Counter, float, dict[str, list[int]]]:
    """What so many callers see in some seconds; the seconds that the workers computed for that; and how long newcomers
    waited, in good answers that were given meanwhile. So nothing depends on what else the machine does.

    begin: the status that somebody must have seen before: on a busy machine it takes a while until all have come, and
    who came early and could not ask for long may have been taken for idle.
    """
    callers = call(number, is_hasty)
    patience = time.monotonic() + 30
    while time.monotonic() < patience:
        seen = callers.call(1.0)
        if (
            begin in seen and "broken" not in seen
        ):  # who came and then had to wait with its question may have been cut off
            break
    before = count_work(call)
    seen = callers.call(SECONDS)
    work = count_work(call) - before
    callers.close()
    return seen, work, callers.waits


def count_work(call) -> float:
    return sum(sum(worker.cpu_times()[:2]) for worker in call.workers)


def ask_twice(call) -> int:
    """The second answer over one connection: the first may come before the worker has seen that the others are gone."""
    with httpx.Client(base_url=call.url, timeout=30) as client:
        client.get(QUESTION)
        return client.get(QUESTION).json()


def test_256_connections_are_served_as_well_as_16(call):
    """By the work that an answer costs, and by their number as well: who waits for others needs no work."""
    few, little, _ = measure(call, 16)
    many, much, _ = measure(call, 256)
    assert set(few) == set(many) == {"200"}
    assert many["200"] / much > 0.75 * few["200"] / little
    assert many["200"] > 0.2 * few["200"]


def test_ten_times_the_load_is_refused_in_good_order(call):
    """Whoever finds a place is served as well as before. The others are told to come back, once a second each at most,
    before those inside have been answered a few times, and no connection breaks. Memory stays what it was, and
    afterwards all is well.
    """
    few, little, _ = measure(call, 256)
    memory = sum(worker.memory_info().rss for worker in call.workers)
    seen, work, waits = measure(call, 10 * 256, "503")
    assert set(seen) == {"200", "503"}
    assert seen.total() / work > 0.75 * few["200"] / little  # refusals included, however many of them there are
    assert seen["503"] < 1.5 * SECONDS * (10 * 256 - MOST_CONNECTIONS)
    assert statistics.median(waits["503"]) < 5 * MOST_CONNECTIONS
    assert sum(worker.memory_info().rss for worker in call.workers) < memory + 20 * 2**20
    assert ask_twice(call) == 10_580


def test_refusing_those_who_ask_again_at_once_costs_less_than_answering_them(call):
    few, little, _ = measure(call, 256)
    seen, work, _ = measure(call, 10 * 256, "503", is_hasty=True)
    assert set(seen) == {"200", "503"}
    assert seen.total() / work > 0.75 * few["200"] / little
    assert ask_twice(call) == 10_580


def test_a_worker_that_may_open_no_more_files_answers_whom_it_has_and_goes_on(call):
    fetch(call.url + QUESTION)
    for worker in call.workers:
        worker.rlimit(psutil.RLIMIT_NOFILE, (worker.num_fds() + 10, worker.num_fds() + 10))
    host, port = call.url.removeprefix("http://").split(":")
    crowd = [socket.create_connection((host, int(port))) for _ in range(60)]
    for one in crowd:
        one.sendall(REQUEST)
    answered = [one for one in crowd[:4] if one.recv(1_000).startswith(b"HTTP/1.1 200 ")]
    assert len(answered) == 4
    for one in crowd:
        one.close()
    assert fetch(call.url + QUESTION, timeout=30).json() == 10_580


def test_idle_connections_keep_nobody_out(call):
    """A full house of callers that have asked once, or never, and then keep silent: newcomers take their places."""
    host, port = call.url.removeprefix("http://").split(":")
    idle = [socket.create_connection((host, int(port))) for _ in range(MOST_CONNECTIONS + 100)]
    for one in idle[:-200]:
        one.sendall(REQUEST)
    time.sleep(1.5)
    seen, _, _ = measure(call, 16)
    assert set(seen) == {"200"}
    for one in idle:
        one.close()
