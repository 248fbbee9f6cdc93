"""A real server over a small model."""

from pathlib import Path

import httpx
import pytest
from small_model import publish_model

from serving.app import create_app
from serving.server import Server
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
    server = Server(create_app(models)).start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def http(server):
    with httpx.Client(base_url=server.url, timeout=10) as client:
        yield client
