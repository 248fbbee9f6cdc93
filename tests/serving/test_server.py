"""The server against hostile and hasty clients, as a process of its own."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import psutil
import pytest
from small_model import publish_model

import serving.server

ROOT = Path(serving.server.__file__).parents[1]
QUESTION = "/predict?vol_moving_avg=11500&adj_close_rolling_med=25"


@pytest.fixture
def start(run_dir, tmp_path):
    """Starts `python -m serving` and gives the process and its first line's address."""
    running = []

    def begin(*arguments, **environment):
        command = [sys.executable, "-m", "serving", "--run-dir", str(run_dir), "--port", "0", *arguments]
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, "HOME": str(tmp_path), **environment},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        running.append(process)
        line = process.stdout.readline()
        assert " on http://" in line, line
        return process, line.split(" on ")[1].split()[0]

    yield begin
    for process in running:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=10)


def test_starts_small_and_ends_when_told(start):
    process, url = start()
    assert httpx.get(url + QUESTION).json() == 10_580
    loaded = Path(f"/proc/{process.pid}/maps").read_text()
    assert not any(name in loaded for name in ("pandas", "pyarrow", "sklearn"))
    assert psutil.Process(process.pid).memory_info().rss < 150 * 2**20
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == 0


def run_serving(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "serving", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=30
    )


def test_a_taken_port_is_one_clear_line(run_dir):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ended = run_serving("--run-dir", str(run_dir), "--port", str(taken.getsockname()[1]))
    assert ended.returncode == 8
    assert "choose another" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "address",
    [("--port", "99999"), ("--port", "-1"), ("--host", "no.such.invalid")],
    ids=["high", "negative", "no host"],
)
def test_an_address_that_cannot_be_is_one_clear_line(run_dir, address):
    ended = run_serving("--run-dir", str(run_dir), *address)
    assert ended.returncode == 8
    (line,) = ended.stderr.splitlines()
    assert line.startswith("error: ")
    assert address[1] in line
    assert address[0] in line


def test_no_model_is_one_clear_line(tmp_path):
    ended = run_serving("--run-dir", str(tmp_path))
    assert ended.returncode == 8
    assert "run_all.py" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_a_body_of_ten_megabytes_is_refused(http):
    try:
        answer = http.post("/predict", content=b" " * 10_000_000, headers={"Content-Type": "application/json"})
    except httpx.WriteError:  # the server may hang up before all was sent
        return
    assert answer.status_code == 413


def test_a_client_that_trickles_is_cut_off(server, http, monkeypatch):
    monkeypatch.setattr(serving.server, "LONGEST_ARRIVAL", 0.5)
    with socket.create_connection(("127.0.0.1", server.port)) as slow:
        slow.settimeout(5)
        with pytest.raises(ConnectionError):
            for byte in b"GET /health HTTP/1.1\r\nX-Long: " + b"y" * 100:
                slow.sendall(bytes([byte]))
                time.sleep(0.05)
    assert http.get("/health").status_code == 200


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
    server = psutil.Process(process.pid)
    statuses, memory = set(), []
    for _ in range(3):
        answers = call_at_once(url, callers=160, rows=4_000)
        statuses |= {answer.split()[1] for answer in answers}
        assert all(b"Retry-After: 1" in answer for answer in answers if answer.split()[1] == b"503")
        memory.append(server.memory_info().rss)
    assert statuses == {b"200", b"503"}
    assert httpx.get(url + QUESTION).json() == 10_580
    assert memory[-1] < memory[0] + 30 * 2**20
    assert memory[-1] < 250 * 2**20


def test_an_idle_connection_is_closed(server, http, monkeypatch):
    """Who connects and says nothing does not keep a place."""
    monkeypatch.setattr(server._server.adj, "channel_timeout", 0.5)
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as idle:
        assert idle.recv(1) == b""
    assert http.get("/health").status_code == 200


def test_connections_beyond_the_limit_wait_for_a_place(start):
    """With every place taken by silent clients, the next one waits in the kernel, and is answered when one leaves."""
    _, url = start()
    host, port = url.removeprefix("http://").split(":")
    silent = [socket.create_connection((host, int(port)), timeout=30) for _ in range(serving.server.MOST_CONNECTIONS)]
    time.sleep(0.5)
    with pytest.raises(httpx.ReadTimeout):
        httpx.get(url + "/health", timeout=1)
    for one in silent:
        one.close()
    assert httpx.get(url + "/health", timeout=30).status_code == 200


# The public link, through a stand-in for ngrok's agent that really forwards.


@pytest.fixture
def agent(tmp_path):
    program = tmp_path / "ngrok"
    program.write_text(f"#!{sys.executable}\n" + (Path(__file__).parent / "agent.py").read_text())
    program.chmod(0o755)
    return {"NGROK_PATH": str(program), "AGENT_SEEN": str(tmp_path / "seen.json")}


@pytest.fixture
def link(start, agent):
    process, url = start("--tunnel", "ngrok", NGROK_AUTHTOKEN="secret-token-1", **agent)
    line = process.stdout.readline()
    assert "/?key=" in line, line
    public, key = line.split(": ")[-1].strip().split("/?key=")
    return public, key, url, process


def test_only_the_whole_link_opens(link):
    public, key, local, _ = link
    assert httpx.get(public + QUESTION).status_code == 401
    assert httpx.get(public + QUESTION + "&key=wrong").status_code == 401
    assert httpx.get(public + QUESTION, headers={"X-Key": key}).json() == 10_580
    with httpx.Client(base_url=public, follow_redirects=True) as visitor:
        page = visitor.get(f"/?key={key}")
        assert page.status_code == 200
        assert "key" not in str(page.url)
        assert visitor.get(QUESTION).json() == 10_580
        assert visitor.get("/metrics").status_code == 404
    assert httpx.get(local + "/metrics").status_code == 200


def test_visitors_are_rate_limited_one_by_one_and_local_callers_are_not(link):
    public, key, local, _ = link
    with httpx.Client(base_url=public, headers={"X-Key": key, "X-Forwarded-For": "203.0.113.5"}) as visitor:
        answers = [visitor.get(QUESTION) for _ in range(130)]
    assert {answer.status_code for answer in answers} == {200, 429}
    assert int(answers[-1].headers["Retry-After"]) > 0
    other = {"X-Key": key, "X-Forwarded-For": "203.0.113.6"}
    assert httpx.get(public + QUESTION, headers=other).status_code == 200
    with httpx.Client(base_url=local) as owner:
        assert {owner.get(QUESTION).status_code for _ in range(200)} == {200}


def test_the_agent_ends_with_the_server_and_the_token_is_nowhere_to_be_read(link, agent):
    *_, process = link
    seen = json.loads(Path(agent["AGENT_SEEN"]).read_text())
    assert seen["token"] == "secret-token-1"
    assert not any("secret-token-1" in argument for argument in seen["arguments"])
    process.send_signal(signal.SIGTERM)
    printed, _ = process.communicate(timeout=10)
    assert "secret-token-1" not in printed
    assert not psutil.pid_exists(seen["pid"])


def test_a_link_survives_a_pause_and_its_end_is_told(link, agent):
    """The network drops and comes back: so does the link. The agent dies: the owner reads it, local serving goes on."""
    public, key, url, process = link
    agent_pid = json.loads(Path(agent["AGENT_SEEN"]).read_text())["pid"]
    with httpx.Client(headers={"X-Key": key}, timeout=1) as visitor:
        os.kill(agent_pid, signal.SIGSTOP)
        with pytest.raises(httpx.TimeoutException):
            visitor.get(public + QUESTION)
        os.kill(agent_pid, signal.SIGCONT)
        assert visitor.get(public + QUESTION, timeout=10).json() == 10_580
    os.kill(agent_pid, signal.SIGKILL)
    while "public link has ended" not in (line := process.stdout.readline()):
        assert line, "the server ended"
    assert httpx.get(url + QUESTION).json() == 10_580


def test_a_run_that_serves_shares_its_link_and_keeps_the_token_to_itself(agent, tmp_path):
    """run_all.py --serve: the link on the terminal, a visitor with it, and the end by one signal to the run."""
    run = tmp_path / "run"
    publish_model(run, "20260102T030405000000-0123abcd")
    command = [sys.executable, "run_all.py", "--only", "serve", "--serve", "--run-dir", str(run)]
    environment = {**os.environ, **agent, "NGROK_AUTHTOKEN": "secret-token-2", "PYTHONUNBUFFERED": "1"}
    environment["http_proxy"] = "http://127.0.0.1:9"  # leads out of this machine, not to its own agent and server
    with subprocess.Popen(command, cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE, stderr=-2) as process:
        printed = ""
        while "/?key=" not in printed and (line := process.stdout.readline()):
            printed += line
        assert "/?key=" in printed, printed
        link = printed.split()[-1]
        with httpx.Client(follow_redirects=True) as visitor:
            assert visitor.get(link).status_code == 200
            assert visitor.get(link.split("/?")[0] + QUESTION).json() == 10_580
        started = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGTERM)
        printed += process.communicate(timeout=20)[0]
    assert len(started) >= 2  # the server and the agent
    assert not [one for one in started if one.is_running()]
    key = link.partition("key=")[2]
    kept = [path for path in run.rglob("*") if path.is_file()]
    assert any(path.name == "04_serve.ipynb" for path in kept)
    for secret in ("secret-token-2", key):
        assert not [path for path in kept if secret.encode() in path.read_bytes()]
    assert "secret-token-2" not in printed


@pytest.mark.parametrize(
    ("token", "program", "words"),
    [
        ("", None, "token"),
        ("refused", None, "ERR_NGROK_105"),
        ("spent", None, "used up the requests"),
        ("good", "/nowhere/ngrok", "local serving goes on"),
    ],
)
def test_without_a_tunnel_local_serving_goes_on(start, agent, token, program, words):
    environment = agent | {"NGROK_AUTHTOKEN": token} | ({"NGROK_PATH": program} if program else {})
    process, url = start("--tunnel", "ngrok", **environment)
    assert any(words in process.stdout.readline() for _ in range(3))
    assert httpx.get(url + QUESTION).json() == 10_580
