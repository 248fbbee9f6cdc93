"""The program: how it starts and ends, and what it says where it cannot."""

import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import psutil
import pytest
from running import QUESTION, ROOT


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


def test_a_run_refuses_a_port_that_cannot_be_before_any_work(tmp_path):
    command = [sys.executable, "run_all.py", "--serve", "--port", "65536", "--run-dir", str(tmp_path / "run")]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2
    assert "PORT" in ended.stderr
    assert not (tmp_path / "run").exists()
