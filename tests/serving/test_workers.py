"""Several processes that behave as one server, and a server that lives as long as whoever started it."""

import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from wsgiref.simple_server import make_server
from wsgiref.validate import validator

import httpx
import psutil
import pytest
from running import QUESTION, ROOT, fetch
from small_model import publish_model, read_version

from serving.app import make_app
from serving.child import ServerProcess
from serving.errors import ServingError
from serving.shared import Shared


def count_answers(url: str) -> float:
    """All answers that the metrics know of."""
    text = fetch(url + "/metrics").text
    return sum(float(line.split()[1]) for line in text.splitlines() if line.startswith("http_requests_total"))


def test_the_metrics_are_one_sum(start):
    """Each of many connections may meet another process; none of their answers is missing, whoever is asked."""
    _, url = start()
    before = count_answers(url)
    for _ in range(40):
        fetch(url + QUESTION)
    assert [count_answers(url) - before for _ in range(5)] == [41, 42, 43, 44, 45]


def test_a_rate_holds_over_processes_that_count_at_the_same_time():
    shared, most = Shared(), 40_000
    reader, writer = os.pipe()
    start, go = os.pipe()
    for _ in range(4):
        if os.fork() == 0:
            os.close(go)
            os.read(start, 1)  # until the parent has closed its end
            passed = sum(shared.hit("somebody", most, window=1e6) == 0.0 for _ in range(most // 2))
            os.write(writer, passed.to_bytes(4, "big"))
            os._exit(0)
    os.close(go)
    allowed = sum(int.from_bytes(os.read(reader, 4), "big") for _ in range(4))
    for _ in range(4):
        os.wait()
    for one in (reader, writer, start):
        os.close(one)
    assert allowed == most
    assert shared.hit("somebody else", most, window=1e6) == 0.0


def test_a_dead_worker_is_replaced_and_each_caller_loses_one_connection_at_most(start):
    process, url = start()
    counted = count_answers(url)
    ended, broken, answered = threading.Event(), [], []

    def call(number: int) -> None:
        broken.append(0)
        answered.append(0)
        while not ended.is_set():
            try:
                with httpx.Client(base_url=url) as client:
                    while not ended.is_set():
                        assert client.get(QUESTION).json() == 10_580
                        answered[number] += 1
            except httpx.TransportError:
                broken[number] += 1

    callers = [threading.Thread(target=call, args=(number,)) for number in range(6)]
    for caller in callers:
        caller.start()
    time.sleep(0.5)
    first, second = psutil.Process(process.pid).children()
    first.kill()
    assert f"a worker ended (signal {signal.SIGKILL})" in process.stdout.readline()
    while len(alive := psutil.Process(process.pid).children()) < 2:
        time.sleep(0.01)
    assert second in alive
    done = sum(answered)
    while sum(answered) < done + 200:
        time.sleep(0.05)
    ended.set()
    for caller in callers:
        caller.join()
    assert max(broken) <= 1
    assert sum(broken) < len(callers)  # the other worker's callers noticed nothing
    assert count_answers(url) - counted >= sum(answered)  # what the dead one had counted is not lost


def test_a_worker_that_hangs_keeps_nobody_out_and_the_one_with_fewer_connections_takes_the_next(start):
    process, url = start()
    host, port = url.removeprefix("http://").split(":")
    request = f"GET {QUESTION} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    hung = psutil.Process(process.pid).children()[0]

    def come(number: int) -> list[socket.socket]:
        callers = []
        for _ in range(number):
            callers.append(socket.create_connection((host, int(port)), timeout=30))
            callers[-1].sendall(request)
            assert callers[-1].recv(1_000).startswith(b"HTTP/1.1 200 ")
        return callers

    assert fetch(url + QUESTION).json() == 10_580
    before = hung.num_fds()
    hung.suspend()
    first = come(60)
    hung.resume()
    second = come(40)
    assert hung.num_fds() - before > 25  # by chance it would have 20 of them
    for one in [*first, *second]:
        one.close()


def test_workers_that_cannot_live_end_the_server(start, tmp_path):
    process, _ = start()
    patience = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < patience:
        for worker in psutil.Process(process.pid).children():
            worker.kill()
        time.sleep(0.02)
    assert process.returncode == 8
    assert "Workers end as soon as they begin" in process.stdout.read()


def test_a_new_model_reaches_all_workers_and_no_answer_mixes_two(start, tmp_path):
    run = tmp_path / "run"
    one = read_version(publish_model(run, "one", ratio=1.0))
    _, url = start(run_dir=run)
    two = read_version(publish_model(run, "two", ratio=2.0))
    seen, right = [], {(one, 1_000_000), (two, 2_000_000)}
    while len(seen) < 40 or {version for version, _ in seen[-40:]} != {two}:  # so many connections meet every worker
        answer = fetch(url + "/predict?vol_moving_avg=1000000&adj_close_rolling_med=5")
        seen.append((answer.headers["X-Model-Version"], answer.json()))
    assert set(seen) <= right


def test_the_server_of_a_process_ends_with_it(run_dir):
    """Though it is killed, as a notebook's kernel is; but not when a cell is interrupted."""
    code = """
        import signal, sys, time
        from serving.child import ServerProcess
        signal.signal(signal.SIGINT, lambda *_: None)
        server = ServerProcess(sys.argv[1])
        print(server.url, server._process.pid, flush=True)
        time.sleep(600)
    """
    command = [sys.executable, "-c", textwrap.dedent(code), str(run_dir)]
    with subprocess.Popen(command, cwd=ROOT, text=True, stdout=subprocess.PIPE, start_new_session=True) as kernel:
        url, pid = kernel.stdout.readline().split()
        assert fetch(url + QUESTION).json() == 10_580
        family = [psutil.Process(int(pid)), *psutil.Process(int(pid)).children()]
        os.killpg(kernel.pid, signal.SIGINT)
        time.sleep(0.3)
        assert fetch(url + QUESTION).json() == 10_580
        os.kill(kernel.pid, signal.SIGKILL)
        psutil.wait_procs(family, timeout=30)
        assert not [one for one in family if one.is_running()]


def test_workers_end_with_their_server_though_it_is_killed(start):
    process, _ = start()
    workers = psutil.Process(process.pid).children()
    process.kill()
    psutil.wait_procs(workers, timeout=30)
    assert not [one for one in workers if one.is_running()]


def test_a_server_in_a_process_is_stopped(run_dir, monkeypatch):
    """Started in whatever environment a notebook's kernel has."""
    monkeypatch.setenv("PYTHONSAFEPATH", "1")
    monkeypatch.setenv("PYTHONOPTIMIZE", "2")
    server = ServerProcess(run_dir)
    assert fetch(server.url + "/openapi.json").json()["paths"]
    assert server.link is None
    assert fetch(server.url + QUESTION).json() == 10_580
    server.stop()
    with pytest.raises(httpx.ConnectError):
        fetch(server.url + QUESTION)


def test_a_server_that_does_not_start_says_why(tmp_path):
    with pytest.raises(ServingError, match=r"run_all\.py"):
        ServerProcess(tmp_path)


def test_a_server_listens_on_ipv6(start):
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    _, url = start("--host", "::1")
    assert url.startswith("http://[::1]:")
    assert fetch(url + QUESTION).json() == 10_580


def test_another_server_may_serve_the_application(run_dir, http):
    """Any that keeps to WSGI, as the validator of the standard library sees it."""
    with make_server("127.0.0.1", 0, validator(make_app(str(run_dir)))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        assert fetch(url + QUESTION).json() == 10_580
        for path in ("/", "/docs", "/forecast/AAPL", "/metrics", "/openapi.json", "/nothing", "/predict"):
            assert fetch(url + path).status_code == http.get(path).status_code
        assert httpx.post(url + "/forecast", json={"symbols": ["AAPL"]}).status_code == 200
        server.shutdown()


@pytest.mark.parametrize("preload", [False, True])
def test_processes_that_another_server_forks_count_as_one(run_dir, preload):
    """As gunicorn does it, with --preload and without: the application made before the fork, or in each child."""
    code = """
        import os, sys
        from serving.app import make_app
        run_dir, preload = sys.argv[1], sys.argv[2] == "True"
        app = make_app(run_dir) if preload else None
        for _ in range(2):
            if os.fork() == 0:
                client = (app or make_app(run_dir)).test_client()
                for _ in range(5):
                    client.get("/health")
                os._exit(0)
        os.wait(), os.wait()
        if os.fork() == 0:
            print((app or make_app(run_dir)).test_client().get("/metrics").text, flush=True)
            os._exit(0)
        os.wait()
    """
    command = [sys.executable, "-c", textwrap.dedent(code), str(run_dir), str(preload)]
    printed = subprocess.run(command, cwd=ROOT, text=True, capture_output=True, check=True, timeout=60).stdout
    assert 'http_requests_total{status="200"} 10.0' in printed


def test_a_model_reaches_processes_that_were_forked_from_a_loaded_application(tmp_path):
    publish_model(tmp_path, "one")
    code = """
        import os, sys, time
        from serving.app import make_app
        app = make_app(sys.argv[1])
        if os.fork() == 0:
            client = app.test_client()
            print("forked", flush=True)
            sys.stdin.readline()
            while client.get("/ready").json["model"]["version"] != sys.argv[2]:
                time.sleep(0.01)
            os._exit(0)
        os.wait()
        print("seen", flush=True)
    """
    two = read_version(publish_model(tmp_path / "elsewhere", "two", ratio=0.5))
    command = [sys.executable, "-c", textwrap.dedent(code), str(tmp_path), two]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, cwd=ROOT, text=True, **pipes) as process:
        assert process.stdout.readline() == "forked\n"
        assert read_version(publish_model(tmp_path, "two", ratio=0.5)) == two
        assert process.communicate("\n", timeout=60)[0] == "seen\n"
