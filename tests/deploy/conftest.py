"""Environments of their own for the schedulers, made once and kept: MARKET_ENVIRONMENTS names the folder for them."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.environments import install

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def make_environment() -> Callable[[str], Path]:
    """Install deploy/<name>/requirements.txt into an environment. Returns the folder of its programs."""
    return lambda name: install(name, ROOT / "deploy" / name / "requirements.txt")


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Callable[..., subprocess.CompletedProcess]:
    """Run a program as a person with the project's folder on PYTHONPATH would, in a folder elsewhere, without the
    tests' own Spark.
    """
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SPARK_")}
    elsewhere = tmp_path_factory.mktemp("elsewhere")

    def call(program: Path, *arguments, **variables) -> subprocess.CompletedProcess:
        path = f"{program.parent}{os.pathsep}{clean['PATH']}"
        environment = clean | {"PATH": path, "PYTHONPATH": str(ROOT)} | variables
        command = [str(one) for one in (program, *arguments)]
        return subprocess.run(command, cwd=elsewhere, env=environment, capture_output=True, text=True)

    return call
