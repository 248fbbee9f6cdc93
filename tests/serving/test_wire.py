"""HTTP on the wire: what could be read in two ways is refused, and what is taken, another strict reader takes alike."""

import json
import random
import re
import socket
import subprocess
import sys

import h11
import httpx
import pytest
from in_process import start_worker

from serving.protocol import MOST_PIECES

GOOD = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
BODY = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"

REFUSED = {
    "length and chunks": BODY + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + GOOD,
    "two lengths": BODY + b"Content-Length: 0\r\nContent-Length: 5\r\n\r\n" + GOOD,
    "a list of lengths": BODY + b"Content-Length: 0, 0\r\n\r\n" + GOOD,
    "a length with a sign": BODY + b"Content-Length: +0\r\n\r\n" + GOOD,
    "a length with a blank": BODY + b"Content-Length: 1 0\r\n\r\n" + GOOD,
    "a length in hexadecimal": BODY + b"Content-Length: 0x0\r\n\r\n" + GOOD,
    "another coding": BODY + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n" + GOOD,
    "chunked twice": BODY + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + GOOD,
    "chunked in disguise": BODY + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n" + GOOD,
    "chunks in HTTP/1.0": b"POST /predict HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + GOOD,
    "a blank before the colon": BODY + b"Content-Length : 5\r\n\r\n" + GOOD,
    "a folded header": BODY + b"X: a\r\n b\r\n\r\n" + GOOD,
    "a header without a name": BODY + b": a\r\n\r\n" + GOOD,
    "a bare CR": BODY + b"X: a\rContent-Length: 5\r\n\r\n" + GOOD,
    "a bare LF": BODY + b"X: a\nContent-Length: 5\r\n\r\n" + GOOD,
    "lines of bare LF": b"GET /health HTTP/1.1\nHost: x\n\n" + GOOD,
    "a NUL": BODY + b"X: a\0\r\n\r\n" + GOOD,
    "no host": b"GET /health HTTP/1.1\r\n\r\n" + GOOD,
    "two hosts": b"GET /health HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n" + GOOD,
    "a host that is none": b"GET /health HTTP/1.1\r\nHost: x/y@z\r\n\r\n" + GOOD,
    "no slash": b"GET metrics HTTP/1.1\r\nHost: x\r\n\r\n" + GOOD,
    "no target": b"GET  HTTP/1.1\r\nHost: x\r\n\r\n" + GOOD,
    "a blank in the target": b"GET /a b HTTP/1.1\r\nHost: x\r\n\r\n" + GOOD,
    "no path": b"GET http://x HTTP/1.1\r\nHost: x\r\n\r\n" + GOOD,
    "a fragment": b"GET /health#x HTTP/1.1\r\nHost: x\r\n\r\n" + GOOD,
    "a tunnel": b"CONNECT elsewhere:443 HTTP/1.1\r\nHost: x\r\n\r\n" + GOOD,
    "an old version": b"GET /health\r\n\r\n" + GOOD,
    "a new version": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "another protocol": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "a chunk's size with a sign": BODY + b"Transfer-Encoding: chunked\r\n\r\n+1\r\na\r\n0\r\n\r\n" + GOOD,
    "a chunk's size in odd letters": BODY + b"Transfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n" + GOOD,
    "a chunk that is too long": BODY + b"Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n" + GOOD,
    "chunks with bare LF": BODY + b"Transfer-Encoding: chunked\r\n\r\n1\na\n0\n\n\r\n\r\n" + GOOD,
    "an unknown method": b"BREW /predict HTTP/1.1\r\nHost: x\r\n\r\n" + GOOD,
    "an unknown expectation": BODY + b"Expect: a-miracle\r\nContent-Length: 0\r\n\r\n" + GOOD,
    "a header without an end": b"GET /health HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 40_000,
}


def exchange(server, *pieces: bytes) -> bytes:
    """All that the server says until it closes, to somebody who closes after his last word."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        for piece in pieces:
            connection.sendall(piece)
        connection.shutdown(socket.SHUT_WR)
        return connection.makefile("rb").read()


@pytest.mark.parametrize("request_", REFUSED.values(), ids=REFUSED)
def test_what_could_be_read_in_two_ways_is_refused(server, request_):
    """With one answer, for all that was sent; it carries what every answer carries."""
    said = exchange(server, request_)
    assert re.match(rb"HTTP/1\.1 (400|417|431|501|505) ", said)
    assert said.count(b"HTTP/1.1 ") == 1
    assert b"\r\nConnection: close\r\n" in said
    assert b"nosniff" in said
    assert b'{"error":"' in said


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /health HTTP/1.1\r\nhost:x\r\n\r\n", b"200"),
        (b"\r\nGET /health HTTP/1.1\r\nHost: x\r\n\r\n", b"200"),
        (b"GET http://anywhere/health HTTP/1.1\r\nHost: x\r\n\r\n", b"200"),
        (b"GET //health/ HTTP/1.1\r\nHost: x\r\n\r\n", b"200"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", b"200"),
        (b"GET /health HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n\r\n", b"200"),
        (b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", b"404"),
        (b"DELETE /predict HTTP/1.1\r\nHost: x\r\n\r\n", b"405"),
        (BODY + b"Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\n{}", b"400"),
        (
            BODY + b"Connection: Upgrade\r\nUpgrade: h2c\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
            b"400",
        ),
        (BODY + b"Content-Length: 2\r\n\r\n{}", b"400"),
        (BODY + b"Transfer-Encoding: Chunked\r\n\r\n1;a=b\r\n{\r\n1\r\n}\r\n0\r\nX: trailer\r\n\r\n", b"400"),
    ],
)
def test_what_is_right_is_answered_and_the_next_request_too(server, request_, status):
    said = exchange(server, request_, GOOD)
    statuses = re.findall(rb"HTTP/1\.1 (\d+) ", said)
    assert statuses == [status, b"200"]


def test_a_head_has_no_body(server):
    said = exchange(server, GOOD.replace(b"GET", b"HEAD"), GOOD)
    assert said.count(b'{"status":"ok"}') == 1


def test_the_body_is_asked_for_where_the_sender_waits_for_that(server):
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(BODY + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert connection.recv(1_000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"{}")
        assert connection.recv(1_000).startswith(b"HTTP/1.1 400 ")


def test_a_body_in_more_small_chunks_than_is_sensible_is_refused(server):
    chunks = b"1\r\n{\r\n" * (MOST_PIECES + 1)
    assert exchange(server, BODY + b"Transfer-Encoding: chunked\r\n\r\n" + chunks).startswith(b"HTTP/1.1 413 ")
    assert httpx.get(server.url + "/health").status_code == 200


@pytest.fixture(scope="module")
def echo():
    """A server whose application tells what it was asked."""

    def tell(environ, start_response):
        target = environ["PATH_INFO"] + "?" + environ["QUERY_STRING"]
        seen = [environ["REQUEST_METHOD"], target.removesuffix("?"), environ["wsgi.input"].read().decode("latin-1")]
        content = json.dumps(seen).encode() + b"\n"
        start_response("200 OK", [("Content-Length", str(len(content)))])
        return [content]

    server = start_worker(tell)
    yield server
    server.stop()


def read_ours(echo, data: bytes) -> list[list[str]]:
    """Method, target and body of each request in `data`."""
    with socket.create_connection(("127.0.0.1", echo.port), timeout=20) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        said = connection.makefile("rb").read()
    return [json.loads(line) for line in said.splitlines() if line.startswith(b"[")]


def read_theirs(data: bytes) -> list[list[str]]:
    """The same by h11, which is stricter than the standard about empty lines before a request and blanks in a line."""
    found, data = [], re.sub(rb" +", b" ", data)
    while data:
        reader, body = h11.Connection(h11.SERVER, max_incomplete_event_size=100_000), b""
        reader.receive_data(data.lstrip(b"\r\n"))
        try:
            while not isinstance(event := reader.next_event(), h11.EndOfMessage):
                if isinstance(event, h11.Request):
                    request = event
                elif isinstance(event, h11.Data):
                    body += bytes(event.data)
                else:
                    return found
        except h11.RemoteProtocolError:
            return found
        target = request.target if request.target != b"*" else b"/*"
        found.append([one.decode("latin-1") for one in (request.method, target, body)])
        data = reader.trailing_data[0]
    return found


PIECES = [
    b"GET ", b"POST ", b"/", b"/predict", b"*", b" HTTP/1.1", b" HTTP/1.0", b"\r\n", b"\n", b"\r", b"\r\n\r\n", b" ",
    b"Host: x", b"host:y", b"Content-Length: 5", b"Content-Length:0", b"content-length: 3", b"Connection: close",
    b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity", b"Expect: 100-continue", b"hello", b"5\r\nhello\r\n",
    b"0\r\n\r\n", b"0", b"3;x=y\r\nabc\r\n", b":", b"X: y", b"\0", b"\t", b"\xff", b"1e", b"+", GOOD, BODY,
]  # fmt: skip


def test_what_is_taken_another_strict_reader_takes_alike(echo):
    """Right requests in a row with odd pieces put into them: whatever this server takes as a request, the other takes
    as the same one, with the same end. That is what smuggling needs them not to do.
    """
    choose, compared = random.Random(1), 0
    right = [
        GOOD,
        BODY + b"Content-Length: 5\r\n\r\nhello",
        BODY + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    ]
    for _ in range(4_000):
        data = b"".join(choose.choices(right, k=choose.randint(1, 3)))
        for _ in range(choose.randint(0, 2)):
            at = choose.randrange(len(data) + 1)
            data = data[:at] + choose.choice(PIECES) + data[at + choose.choice((0, 0, 1, 2)) :]
        ours = read_ours(echo, data)
        assert ours == read_theirs(data)[: len(ours)], data
        compared += len(ours)
    assert compared > 4_000


def test_no_header_takes_longer_than_it_is_long():
    """At two million characters, where a pattern whose parts can share the blanks would take hours."""
    code = """
from serving.outside import NOT_PLAIN, PLAIN
from serving.protocol import ABSOLUTE, HOST
N = 2_000_000
ABSOLUTE.match(b"http://" + b"x" * N)
HOST.fullmatch(b"x" * N + b"\\0")
HOST.fullmatch(b"x" * N)
PLAIN.fullmatch(b"GET /" + b"x" * N)
PLAIN.fullmatch(b"GET / HTTP/1.1\\r\\n" + b"x:y\\r\\n" * (N // 8) + b"x")
NOT_PLAIN.search(b"\\nconnection:" + b" " * N)
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
