"""Environments of their own for the schedulers, made once and kept: MARKET_ENVIRONMENTS names the folder for them."""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CACHE = Path(os.environ.get("MARKET_ENVIRONMENTS", Path.home() / ".cache" / "stock-market-pipeline"))


@pytest.fixture(scope="session")
def make_environment() -> Callable[[str], Path]:
    """Install deploy/<name>/requirements.txt into an environment. Returns the folder of its programs."""
    return install


def install(name: str) -> Path:
    listed = ROOT / "deploy" / name / "requirements.txt"
    content = listed.read_bytes() + (ROOT / "requirements.txt").read_bytes() + sys.version.encode()
    folder = CACHE / f"{name}-{hashlib.sha256(content).hexdigest()[:12]}"
    if not (folder / "complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([folder / "bin" / "pip", "install", "--quiet", "-r", listed], check=True)
        (folder / "complete").touch()
    return folder / "bin"


@pytest.fixture
def run(tmp_path) -> Callable[..., subprocess.CompletedProcess]:
    """Run a program as a person with the project's folder on PYTHONPATH would, in a folder elsewhere, without the
    tests' own Spark.
    """
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SPARK_")}

    def call(program: Path, *arguments, **variables) -> subprocess.CompletedProcess:
        path = f"{program.parent}{os.pathsep}{clean['PATH']}"
        environment = clean | {"PATH": path, "PYTHONPATH": str(ROOT)} | variables
        command = [str(one) for one in (program, *arguments)]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)

    return call
