"""The code and the notebooks keep to one style, and the folders to their directions."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("command", [["check"], ["format", "--check"]], ids=" ".join)
def test_ruff_has_nothing_to_say(command):
    done = subprocess.run([sys.executable, "-m", "ruff", *command, "."], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-500:]


@pytest.mark.parametrize(("folder", "never"), [("serving", {"pipeline", "pyspark", "pandas", "sklearn", "xgboost"})])
def test_serving_needs_no_pipeline(folder, never):
    for file in (ROOT / folder).glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {name.split(".")[0] for name in names} & never, f"{file.name} imports {names}"


def test_pipeline_does_not_import_serving():
    for file in (ROOT / "pipeline").glob("*.py"):
        assert "import serving" not in file.read_text(), file.name
        assert "from serving" not in file.read_text(), file.name


def test_both_lists_of_libraries_agree():
    everything = (ROOT / "requirements.txt").read_text().splitlines()
    for line in (ROOT / "serving" / "requirements.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            assert line in everything, f"{line} of serving/requirements.txt is not in requirements.txt"
