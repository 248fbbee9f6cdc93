"""A real server over a small model: its worker in a thread, or all of it as a process of its own."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from in_process import start_worker
from running import ROOT
from small_model import publish_model

from serving.app import create_app
from serving.watch import ModelWatch


@pytest.fixture(scope="session")
def run_dir(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    publish_model(folder, "first")
    return folder


@pytest.fixture(scope="session")
def models(run_dir):
    models = ModelWatch(run_dir)
    models.load()
    return models


@pytest.fixture(scope="session")
def server(models):
    server = start_worker(create_app(models).wsgi_app)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def http(server):
    with httpx.Client(base_url=server.url, timeout=10) as client:
        yield client


@pytest.fixture
def start(run_dir, tmp_path):
    """Starts `python -m serving` and gives the process and its first line's address."""
    running = []

    def begin(*arguments, run_dir=run_dir, **environment):
        command = [sys.executable, "-m", "serving", "--run-dir", str(run_dir), "--port", "0", "--workers", "2"]
        process = subprocess.Popen(
            [*command, *arguments],
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
        process.communicate(timeout=20)
