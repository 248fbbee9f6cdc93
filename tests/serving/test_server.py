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
from in_process import start_worker
from running import QUESTION, ROOT, read_answer
from small_model import publish_model

from serving.app import create_app
from serving.connections import Limits


def test_starts_small_and_ends_when_told(start):
    process, url = start()
    assert httpx.get(url + QUESTION).json() == 10_580
    loaded = Path(f"/proc/{process.pid}/maps").read_text()
    assert not any(name in loaded for name in ("pandas", "pyarrow", "sklearn"))
    family = [psutil.Process(process.pid), *psutil.Process(process.pid).children()]
    assert len(family) == 3
    assert all(one.memory_info().rss < 60 * 2**20 for one in family)
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == 0
    assert not [one for one in family if one.is_running()]


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
    assert httpx.get(server.url + "/health").status_code == 200


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
                assert httpx.get(server.url + "/health").status_code == 200
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
    assert httpx.get(url + QUESTION).json() == 10_580
    assert memory[-1] < memory[0] + 30 * 2**20
    assert memory[-1] < 300 * 2**20


def test_an_idle_connection_is_closed(serve):
    """Who connects and says nothing does not keep a place."""
    server = serve(idle=0.5)
    with connect(server) as idle:
        assert idle.recv(1) == b""
    assert httpx.get(server.url + "/health").status_code == 200


def test_when_all_places_are_taken_the_longest_idle_goes_first(serve):
    server = serve(connections=3, share=3, grace=0.3)
    with connect(server) as oldest, connect(server) as silent, connect(server) as slow:
        silent.setblocking(False)
        slow.sendall(b"GET /health HTTP/1.1\r\nX: ")
        time.sleep(0.2)
        assert ask_over(oldest).startswith(b"HTTP/1.1 200 ")  # now it is the youngest
        time.sleep(0.2)
        assert httpx.get(server.url + "/health").status_code == 200
        assert ask_over(oldest).startswith(b"HTTP/1.1 200 ")
        assert silent.recv(1) == b""


def test_when_all_places_are_in_use_a_newcomer_is_told_to_come_back(serve):
    server = serve(connections=3, share=3, grace=60)
    with connect(server) as one, connect(server) as two, connect(server) as three:
        assert all(ask_over(used).startswith(b"HTTP/1.1 200 ") for used in (one, two, three))
        refused = httpx.get(server.url + "/health")
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
        assert refused.headers["X-Content-Type-Options"] == "nosniff"
        assert ask_over(one).startswith(b"HTTP/1.1 200 ")


def test_a_worker_takes_more_than_its_share_while_the_others_have_fewer(serve):
    server = serve(connections=4, share=2, grace=60)
    connections = [connect(server) for _ in range(4)]
    assert all(ask_over(one).startswith(b"HTTP/1.1 200 ") for one in connections)
    assert httpx.get(server.url + "/health").status_code == 503
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
        assert httpx.get(server.url + "/health").status_code == 200
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


def test_the_key_stays_in_no_address_bar(link):
    """Of a browser; a program may send it with every question."""
    public, key, *_ = link
    for path in ("/", "/docs", "/docs/", "/forecast/AAPL", "/symbols?q=A", "/nothing/here"):
        with httpx.Client(base_url=public, follow_redirects=True, headers={"Accept": "text/html"}) as browser:
            shown = browser.get(path + ("&" if "?" in path else "?") + f"key={key}")
        assert shown.history[0].status_code == 303
        assert shown.history[0].headers["Location"].startswith("./")
        assert str(shown.url) == public + path
        assert shown.status_code in (200, 404)
    assert httpx.get(f"{public}{QUESTION}&key={key}").json() == 10_580


def ask_raw(public: str, request: bytes) -> bytes:
    """All that comes back until the server closes."""
    host, port = public.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as visitor:
        visitor.sendall(request)
        return visitor.makefile("rb").read()


def test_no_way_to_write_it_leads_to_what_is_private(link):
    public, key, *_ = link
    head = f"Host: x\r\nX-Key: {key}\r\nConnection: close\r\n\r\n".encode()
    for target in (
        b"metrics",
        b"/metrics",
        b"//metrics",
        b"/metrics/",
        b"/%6detrics",
        b"/./metrics",
        b"http://x/metrics",
    ):
        answer = ask_raw(public, b"GET " + target + b" HTTP/1.1\r\n" + head)
        assert answer.split()[1] in (b"400", b"404")
        assert b"http_requests" not in answer


def test_whoever_is_refused_at_the_link_gives_up_the_place(link):
    answer = ask_raw(link[0], b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert b"nosniff" in answer


def test_visitors_are_rate_limited_one_by_one_and_local_callers_are_not(link):
    public, key, local, _ = link
    with httpx.Client(base_url=public, headers={"X-Key": key, "X-Forwarded-For": "203.0.113.5"}) as visitor:
        answers = [visitor.get(QUESTION) for _ in range(130)]
    assert {answer.status_code for answer in answers} == {200, 429}
    assert sum(answer.status_code == 200 for answer in answers) == 120  # though two processes count
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


def test_a_link_survives_a_pause(link, agent):
    """The network drops and comes back: so does the link."""
    public, key, _, _ = link
    agent_pid = json.loads(Path(agent["AGENT_SEEN"]).read_text())["pid"]
    with httpx.Client(headers={"X-Key": key}, timeout=1) as visitor:
        os.kill(agent_pid, signal.SIGSTOP)
        with pytest.raises(httpx.TimeoutException):
            visitor.get(public + QUESTION)
        os.kill(agent_pid, signal.SIGCONT)
        assert visitor.get(public + QUESTION, timeout=10).json() == 10_580


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as one:
        return one.getsockname()[1]


def test_a_link_that_dropped_is_opened_again(start, agent):
    """The agent dies: the same key opens the next link, and the owner reads it. With a domain it is the same link."""
    domain = f"stays.localhost:{free_port()}"
    process, url = start(
        "--tunnel", "ngrok", NGROK_AUTHTOKEN="secret-token-1", NGROK_DOMAIN=domain, SHARE_KEY="k" * 20, **agent
    )
    line = process.stdout.readline()
    assert line.endswith(f"//{domain}/?key={'k' * 20}\n"), line
    local = "http://127.0.0.1:" + domain.rpartition(":")[2]
    assert httpx.get(local + QUESTION, headers={"X-Key": "k" * 20}).json() == 10_580
    os.kill(json.loads(Path(agent["AGENT_SEEN"]).read_text())["pid"], signal.SIGKILL)
    assert "works again" in process.stdout.readline()
    assert httpx.get(local + QUESTION, headers={"X-Key": "k" * 20}).json() == 10_580
    assert httpx.get(url + QUESTION).json() == 10_580


@pytest.mark.parametrize(
    ("name", "value"), [("SHARE_KEY", "short"), ("SHARE_KEY", "with a blank in it"), ("NGROK_DOMAIN", "no domain/x")]
)
def test_a_key_or_domain_that_cannot_be_is_named(run_dir, agent, name, value):
    environment = {**os.environ, **agent, "NGROK_AUTHTOKEN": "good", name: value}
    command = [sys.executable, "-m", "serving", "--run-dir", str(run_dir), "--port", "0", "--tunnel", "ngrok"]
    with subprocess.Popen(command, cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE, stderr=-2) as process:
        assert any(line.startswith(("error: ", "warning: ")) and name in line for line in process.stdout)
        process.terminate()


def test_a_run_refuses_a_port_that_cannot_be_before_any_work(tmp_path):
    command = [sys.executable, "run_all.py", "--serve", "--port", "65536", "--run-dir", str(tmp_path / "run")]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2
    assert "PORT" in ended.stderr
    assert not (tmp_path / "run").exists()


def test_a_run_that_serves_shares_its_link_and_keeps_the_token_to_itself(agent, tmp_path):
    """run_all.py --serve: the link on the terminal, a visitor with it, and the end by one signal to the run."""
    run = tmp_path / "run"
    publish_model(run, "20260102T030405000000-0123abcd")
    command = [sys.executable, "run_all.py", "--only", "serve", "--serve", "--port", "0", "--run-dir", str(run)]
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
    assert len(started) >= 4  # the server, a worker, who keeps the tunnel, and the agent
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
