"""The public link, through a stand-in for ngrok's agent that really forwards."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import psutil
import pytest
from running import QUESTION, ROOT, fetch
from small_model import publish_model


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
    assert fetch(public + QUESTION).status_code == 401
    assert fetch(public + QUESTION + "&key=wrong").status_code == 401
    assert fetch(public + QUESTION, headers={"X-Key": key}).json() == 10_580
    with httpx.Client(base_url=public, follow_redirects=True) as visitor:
        page = visitor.get(f"/?key={key}")
        assert page.status_code == 200
        assert "key" not in str(page.url)
        assert visitor.get(QUESTION).json() == 10_580
        assert visitor.get("/metrics").status_code == 404
    assert fetch(local + "/metrics").status_code == 200


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
    assert fetch(f"{public}{QUESTION}&key={key}").json() == 10_580


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
    assert fetch(public + QUESTION, headers=other).status_code == 200
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
    assert fetch(local + QUESTION, headers={"X-Key": "k" * 20}).json() == 10_580
    os.kill(json.loads(Path(agent["AGENT_SEEN"]).read_text())["pid"], signal.SIGKILL)
    assert "works again" in process.stdout.readline()
    assert fetch(local + QUESTION, headers={"X-Key": "k" * 20}).json() == 10_580
    assert fetch(url + QUESTION).json() == 10_580


@pytest.mark.parametrize(
    ("name", "value"), [("SHARE_KEY", "short"), ("SHARE_KEY", "with a blank in it"), ("NGROK_DOMAIN", "no domain/x")]
)
def test_a_key_or_domain_that_cannot_be_is_named(run_dir, agent, name, value):
    environment = {**os.environ, **agent, "NGROK_AUTHTOKEN": "good", name: value}
    command = [sys.executable, "-m", "serving", "--run-dir", str(run_dir), "--port", "0", "--tunnel", "ngrok"]
    with subprocess.Popen(command, cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE, stderr=-2) as process:
        assert any(line.startswith(("error: ", "warning: ")) and name in line for line in process.stdout)
        process.terminate()


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
    assert fetch(url + QUESTION).json() == 10_580
