"""Run everything as Google Colab would: python -m tests.check_colab [WORK_FOLDER]

Colab itself is out of reach of a test. What can be had is its Python with the versions of its libraries (August
2026), a stand-in for the module `google.colab` that is loaded before the first cell, as there, and an empty folder
for each notebook. The setup cell's `git clone` really clones: git is told to take the repository's address from this
checkout's last commit.

Needs Python 3.13 and about ten minutes on two cores. Ends with a line `ok:` for each part, or with the failing one.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from pipeline.hosted import REPOSITORY, ROOT

COLAB_VERSIONS = {
    "pyspark": "4.0.4",
    "pandas": "2.2.3",
    "numpy": "2.1.3",
    "pyarrow": "18.1.0",
    "scikit-learn": "1.6.1",
    "Flask": "3.1.3",
    "xgboost-cpu": "3.2.0",  # Colab has the full xgboost: the same module, with 469 MB of GPU libraries
    "matplotlib": "3.10.0",
    "ipykernel": "6.17.1",
    "jupyter_client": "7.4.9",
    "nbclient": "0.10.4",
    "setuptools": "75.2.0",
}

STAND_IN = """
class SecretNotFoundError(Exception):
    pass
class userdata:
    SecretNotFoundError = SecretNotFoundError
    @staticmethod
    def get(name):
        raise SecretNotFoundError(name)
class output:
    @staticmethod
    def serve_kernel_port_as_iframe(port, **options):
        print("(the page in an iframe)")
"""

RUN_NOTEBOOK = """
import sys, nbformat
from nbclient import NotebookClient
content = nbformat.read(sys.argv[1], as_version=4)
NotebookClient(content, timeout=1200, kernel_name="python3", resources={"metadata": {"path": sys.argv[2]}}).execute()
print(sum(cell.cell_type == "code" for cell in content.cells), "cells")
"""


def find_python() -> str:
    for name in ("python3.13", str(Path.home() / ".pyenv/versions/3.13.0/bin/python3.13")):
        found = shutil.which(name)
        if found and subprocess.run([found, "--version"], capture_output=True).returncode == 0:
            return found
    sys.exit("check_colab needs Python 3.13 on the PATH: Colab's version")


def make_environment(folder: Path) -> Path:
    """A virtual environment with Colab's versions and the stand-in. Returns its Python."""
    python = folder / "bin" / "python"
    if not (folder / "ready").exists():
        subprocess.run([find_python(), "-m", "venv", str(folder)], check=True)
        pins = [f"{name}=={number}" for name, number in COLAB_VERSIONS.items()]
        subprocess.run([python, "-m", "pip", "install", "--quiet", *pins], check=True)
        (site,) = folder.glob("lib/python*/site-packages")
        (site / "google" / "colab").mkdir(parents=True)
        (site / "google" / "colab" / "__init__.py").write_text(STAND_IN)
        (site / "load_colab.pth").write_text("import google.colab\n")
        (folder / "ready").touch()
    return python


def clone_from_here() -> dict[str, str]:
    """The environment in which git finds the repository's public address in this checkout."""
    settings = {f"url.file://{ROOT}.insteadOf": f"https://github.com/{REPOSITORY}", "safe.directory": "*"}
    variables = {"GIT_CONFIG_COUNT": str(len(settings))}
    for number, (key, value) in enumerate(settings.items()):
        variables |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return variables


def run_part(what: str, command: list[str], folder: Path, environment: dict[str, str]) -> None:
    start = time.monotonic()
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"failed: {what}\n{done.stdout[-3000:]}\n{done.stderr[-6000:]}")
    print(f"ok: {what}, {time.monotonic() - start:.0f} s", flush=True)


def check_versions(python: Path) -> None:
    """Nothing that Colab brings was exchanged."""
    names = json.dumps(list(COLAB_VERSIONS))
    code = f"import json, importlib.metadata as m; print(json.dumps({{n: m.version(n) for n in {names}}}))"
    found = json.loads(subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout)
    assert found == COLAB_VERSIONS, f"exchanged: {set(found.items()) - set(COLAB_VERSIONS.items())}"
    print("ok: every library of Colab's is at its version", flush=True)


def main(work: Path) -> None:
    python = make_environment(work / "venv")
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("SPARK_", "PYTHON"))}
    environment |= {"PATH": f"{python.parent}:{os.environ['PATH']}", **clone_from_here()}
    for name in ("01_ingest", "02_features", "03_train", "04_serve"):
        folder = work / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        shutil.copy(ROOT / "notebooks" / f"{name}.ipynb", folder)
        command = [str(python), "-c", RUN_NOTEBOOK, f"{name}.ipynb", str(folder)]
        run_part(f"{name} alone in an empty folder", command, folder, environment)
    checkout = next((work / "04_serve").glob("*/run_all.py")).parent
    command = [str(python), "run_all.py", "--run-dir", str(work / "run")]
    run_part("run_all.py", command, checkout, environment)
    check_versions(python)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else Path(tempfile.mkdtemp(prefix="colab-")))
