"""What the tests of a running server ask, and where it is started."""

import re
import socket
import ssl
from pathlib import Path

import httpx

import serving.server

ROOT = Path(serving.server.__file__).parents[1]
QUESTION = "/predict?vol_moving_avg=11500&adj_close_rolling_med=25"

NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # httpx makes one for each request otherwise, which takes it 35 ms


def fetch(url: str, **options) -> httpx.Response:
    """GET over a connection of its own."""
    return httpx.get(url, verify=NO_TLS, **options)


def read_answer(connection: socket.socket) -> bytes:
    """The next whole answer, in however many pieces it comes; what there is of it if the connection ends before."""
    answer = b""
    while not is_whole(answer) and (piece := connection.recv(65_536)):
        answer += piece
    return answer


def is_whole(answer: bytes) -> bool:
    head, end, body = answer.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: (\d+)", head)
    return bool(end and length) and len(body) >= int(length[1])
