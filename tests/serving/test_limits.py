"""The server against hostile and hasty clients."""

import json
import socket
import time

import httpx
import psutil
import pytest
from in_process import start_worker
from running import QUESTION, fetch, read_answer

from serving.app import create_app
from serving.connections import Limits


def test_a_body_of_ten_megabytes_is_refused(http):
    try:
        answer = http.post("/predict", content=b" " * 10_000_000, headers={"Content-Type": "application/json"})
    except httpx.WriteError:  # the server may hang up before all was sent
        return
    assert answer.status_code == 413


@pytest.fixture
def serve(models):
    """Starts a worker with limits of the test's choice."""
    running = []

    def begin(**limits):
        running.append(start_worker(create_app(models).wsgi_app, Limits(**limits)))
        return running[-1]

    yield begin
    for one in running:
        one.stop()


def connect(server):
    return socket.create_connection(("127.0.0.1", server.port), timeout=30)


def ask_over(connection, request=b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"):
    connection.sendall(request)
    return read_answer(connection)


def test_a_client_that_trickles_is_cut_off(serve):
    server = serve(arrival=0.5)
    with connect(server) as slow:
        slow.settimeout(5)
        with pytest.raises(ConnectionError):
            for byte in b"GET /health HTTP/1.1\r\nX-Long: " + b"y" * 100:
                slow.sendall(bytes([byte]))
                time.sleep(0.05)
    assert fetch(server.url + "/health").status_code == 200


@pytest.mark.parametrize("framing", [b"Content-Length: 1000\r\n\r\n{", b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n"])
def test_a_body_that_never_ends_is_cut_off(serve, framing):
    server = serve(arrival=0.5)
    with connect(server) as slow:
        assert ask_over(slow, b"POST /predict HTTP/1.1\r\nHost: x\r\n" + framing).startswith(b"HTTP/1.1 408 ")
        assert slow.recv(1) == b""


def test_an_answer_that_nobody_reads_is_given_up(serve):
    """Its sender is cut off; others are answered meanwhile, and what it held is free again."""
    server = serve(reading=1.0)
    many = b'{"rows": [' + b",".join([b'{"vol_moving_avg": 1e18, "adj_close_rolling_med": 1}'] * 10_000) + b"]}"
    request = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        deaf.connect(("127.0.0.1", server.port))
        deaf.settimeout(10)
        with pytest.raises(OSError):
            for _ in range(100):
                deaf.sendall(request % len(many) + many)
                assert fetch(server.url + "/health").status_code == 200
    while server.worker.house.held:
        time.sleep(0.05)


def call_at_once(url: str, callers: int, rows: int) -> list[bytes]:
    """Batches of `rows` from as many connections, whose last byte is sent at the same moment, when the server has had
    time to read the rest. Returns the answers.
    """
    host, port = url.removeprefix("http://").split(":")
    body = json.dumps({"rows": [{"vol_moving_avg": 1, "adj_close_rolling_med": 1}] * rows}).encode()
    request = (
        b"POST /predict HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n" % len(body) + body
    )
    connections = [socket.create_connection((host, int(port)), timeout=60) for _ in range(callers)]
    for connection in connections:
        connection.sendall(request[:-1])
    time.sleep(1)
    for connection in connections:
        connection.sendall(request[-1:])
    answers = [connection.makefile("rb").read() for connection in connections]
    for connection in connections:
        connection.close()
    return answers


def test_too_much_load_is_refused_and_forgotten(start):
    """Eighty times as many callers as threads, again and again: some are told to come back, none gets a 500, memory
    does not grow with them, and it ends.
    """
    process, url = start()
    workers = psutil.Process(process.pid).children()
    statuses, memory = set(), []
    for _ in range(3):
        answers = call_at_once(url, callers=160, rows=4_000)
        statuses |= {answer.split()[1] for answer in answers}
        assert all(b"retry-after: 1" in answer.lower() for answer in answers if answer.split()[1] == b"503")
        memory.append(sum(one.memory_info().rss for one in workers))
    assert statuses == {b"200", b"503"}
    assert fetch(url + QUESTION).json() == 10_580
    assert memory[-1] < memory[0] + 30 * 2**20
    assert memory[-1] < 300 * 2**20


def test_an_idle_connection_is_closed(serve):
    """Who connects and says nothing does not keep a place."""
    server = serve(idle=0.5)
    with connect(server) as idle:
        assert idle.recv(1) == b""
    assert fetch(server.url + "/health").status_code == 200


def test_when_all_places_are_taken_the_longest_idle_goes_first(serve):
    server = serve(connections=3, share=3, grace=0.3)
    with connect(server) as oldest, connect(server) as silent, connect(server) as slow:
        silent.setblocking(False)
        slow.sendall(b"GET /health HTTP/1.1\r\nX: ")
        time.sleep(0.2)
        assert ask_over(oldest).startswith(b"HTTP/1.1 200 ")  # now it is the youngest
        time.sleep(0.2)
        assert fetch(server.url + "/health").status_code == 200
        assert ask_over(oldest).startswith(b"HTTP/1.1 200 ")
        assert silent.recv(1) == b""


def test_who_has_asked_is_not_taken_for_idle_while_the_server_was_busy():
    def nap(environ, start_response):
        time.sleep(0.6 if environ["PATH_INFO"] == "/slow" else 0)
        start_response("200 OK", [("Content-Length", "0")])
        return []

    server = start_worker(nap, Limits(connections=2, share=2, grace=0.3))
    with connect(server) as first, connect(server) as second:
        assert ask_over(first).startswith(b"HTTP/1.1 200 ")
        second.sendall(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(0.2)
        with connect(server) as newcomer:  # comes before the question, and is seen first
            newcomer.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert ask_over(first).startswith(b"HTTP/1.1 200 ")
    server.stop()


def test_when_all_places_are_in_use_a_newcomer_is_told_to_come_back(serve):
    server = serve(connections=3, share=3, grace=60)
    with connect(server) as one, connect(server) as two, connect(server) as three:
        assert all(ask_over(used).startswith(b"HTTP/1.1 200 ") for used in (one, two, three))
        refused = fetch(server.url + "/health")
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
        assert refused.headers["X-Content-Type-Options"] == "nosniff"
        assert ask_over(one).startswith(b"HTTP/1.1 200 ")


def test_who_was_refused_keeps_the_connection_and_has_the_next_place(serve):
    server = serve(connections=1, share=1, grace=60)
    with connect(server) as one, connect(server) as late:
        assert ask_over(one).startswith(b"HTTP/1.1 200 ")
        refused = ask_over(late)
        assert refused.startswith(b"HTTP/1.1 503 ")
        assert b"\r\nRetry-After: 1\r\n" in refused
        assert b"Connection: close" not in refused
        one.close()
        assert ask_over(late).startswith(b"HTTP/1.1 200 ")
        assert ask_over(late).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n" * 3,  # not one after the other, as it was told
        b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET /health HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        b"HEAD /health HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{",
        b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n" * 2,
    ],
)
def test_who_was_refused_and_could_be_misunderstood_is_told_so_and_parted_from(serve, request_):
    server = serve(connections=1, share=1, grace=60)
    with connect(server) as one, connect(server) as late:
        assert ask_over(one).startswith(b"HTTP/1.1 200 ")
        late.sendall(request_)
        said = late.makefile("rb").read()
        assert said.startswith(b"HTTP/1.1 503 ")
        assert said.count(b"HTTP/1.1 ") == said.count(b"\r\nConnection: close\r\n") == 1
        assert ask_over(one).startswith(b"HTTP/1.1 200 ")


def test_who_has_no_place_and_says_nothing_is_told_so_and_parted_from(serve):
    server = serve(connections=1, share=1, grace=60, arrival=0.5)
    with connect(server) as one, connect(server) as silent, connect(server) as slow:
        assert ask_over(one).startswith(b"HTTP/1.1 200 ")
        slow.sendall(b"GET /health HTTP/1.1\r\nX: ")
        for late in (slow, silent):
            said = late.makefile("rb").read()
            assert said.startswith(b"HTTP/1.1 503 ")
            assert b"\r\nConnection: close\r\n" in said


def test_a_worker_takes_more_than_its_share_while_the_others_have_fewer(serve):
    server = serve(connections=4, share=2, grace=60)
    connections = [connect(server) for _ in range(4)]
    assert all(ask_over(one).startswith(b"HTTP/1.1 200 ") for one in connections)
    assert fetch(server.url + "/health").status_code == 503
    for one in connections:
        one.close()


def test_bodies_under_way_are_bounded_in_all(serve):
    server = serve(memory=1_000_000)
    head = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 900000\r\n\r\n"
    with connect(server) as first, connect(server) as second:
        first.sendall(head + b" " * 800_000)
        while server.worker.house.held < 800_000:
            time.sleep(0.01)
        assert ask_over(second, head + b" " * 800_000).startswith(b"HTTP/1.1 503 ")
        assert fetch(server.url + "/health").status_code == 200
        first.sendall(b" " * 100_000)
        assert first.recv(1_000).startswith(b"HTTP/1.1 400 ")


def test_requests_in_a_row_are_answered_in_their_order(serve):
    """Sent all at once over one connection, large ones among them."""
    server = serve()
    rows = json.dumps({"rows": [{"vol_moving_avg": 11_500, "adj_close_rolling_med": 25}] * 1_000}).encode()
    batch = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    one = b"GET " + QUESTION.encode() + b" HTTP/1.1\r\nHost: x\r\n"
    with connect(server) as connection:
        connection.sendall((one + b"\r\n" + batch % len(rows) + rows) * 3 + one + b"Connection: close\r\n\r\n")
        answers = connection.makefile("rb").read()
    bodies = [answer.partition(b"\r\n\r\n")[2] for answer in answers.split(b"HTTP/1.1 200 OK")[1:]]
    assert [len(body) for body in bodies] == [6, 6_018, 6, 6_018, 6, 6_018, 6]
