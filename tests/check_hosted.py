"""Run everything as Google Colab or Kaggle would: python -m tests.check_hosted colab|colab-2026.07|kaggle [WORK_FOLDER]

The machines themselves are out of reach of a test. What can be had is their Python with the versions of their
libraries, an empty folder for each notebook, a stand-in for the module `google.colab` that is loaded before the first
cell, as there, and Kaggle's variable and folder of attached data sets. The setup cell's `git clone` really clones: git
is told to take the repository's address from this checkout's last commit.

Needs that Python (3.13 or 3.12) and about ten minutes on two cores. Ends with a line `ok:` for each part, or with the
failing one.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from pipeline.environment import KAGGLE, ROOT
from pipeline.hosted import REPOSITORY
from pipeline.ingest.source import INPUT_VARIABLE, SAMPLE

NEWEST = {
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


@dataclass(frozen=True)
class Machine:
    """Where notebooks run. python: its version; versions: of the libraries that it brings."""

    python: str
    versions: dict[str, str]
    is_kaggle: bool = False


MACHINES = {
    "colab": Machine("3.13", NEWEST),  # August 2026
    "colab-2026.07": Machine("3.12", NEWEST | {"numpy": "2.0.2", "pandas": "2.2.2"}),  # a past runtime, still offered
    "kaggle": Machine(
        "3.12", NEWEST | {"numpy": "2.0.2", "pandas": "2.2.2"}, is_kaggle=True
    ),  # Colab's set, it is said
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


def find_python(version: str) -> str:
    name = f"python{version}"
    for place in (name, *sorted(Path.home().glob(f".pyenv/versions/{version}*/bin/{name}"))):
        found = shutil.which(place)
        if found and subprocess.run([found, "--version"], capture_output=True).returncode == 0:
            return found
    sys.exit(f"This needs Python {version}, the machine's version, on the PATH.")


def make_environment(folder: Path, machine: Machine) -> Path:
    """A virtual environment with the machine's versions and, for Colab, the stand-in. Returns its Python."""
    python = folder / "bin" / "python"
    if not (folder / "ready").exists():
        subprocess.run([find_python(machine.python), "-m", "venv", str(folder)], check=True)
        pins = [f"{name}=={number}" for name, number in machine.versions.items()]
        subprocess.run([python, "-m", "pip", "install", "--quiet", *pins], check=True)
        if not machine.is_kaggle:
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


def attach_data(folder: Path) -> dict[str, str]:
    """Kaggle's variables, with a data set attached in its layout: the sample without one of its symbols."""
    attached = folder / "stock-market-dataset"
    shutil.rmtree(attached, ignore_errors=True)
    shutil.copytree(SAMPLE, attached)
    sorted(attached.glob("stocks/*.csv"))[0].unlink()
    return {KAGGLE: "Interactive", INPUT_VARIABLE: str(folder)}


def run_part(what: str, command: list[str], folder: Path, environment: dict[str, str]) -> None:
    start = time.monotonic()
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"failed: {what}\n{done.stdout[-3000:]}\n{done.stderr[-6000:]}")
    print(f"ok: {what}, {time.monotonic() - start:.0f} s", flush=True)


def check_versions(python: Path, machine: Machine) -> None:
    """Nothing that the machine brings was exchanged."""
    names = json.dumps(list(machine.versions))
    code = f"import json, importlib.metadata as m; print(json.dumps({{n: m.version(n) for n in {names}}}))"
    found = json.loads(subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout)
    assert found == machine.versions, f"exchanged: {set(found.items()) - set(machine.versions.items())}"
    print("ok: every library of the machine is at its version", flush=True)


def check_data(checkout: Path) -> None:
    """The attached data set was read, not the sample."""
    symbols = json.loads(next(checkout.glob("outputs/demo/symbols/*/manifest.json")).read_text())["rows"]
    assert symbols == len(list(SAMPLE.glob("*/*.csv"))) - 1, f"{symbols} symbols: the attached data set was not read"
    print("ok: the attached data set was read", flush=True)


def main(machine: Machine, work: Path) -> None:
    python = make_environment(work / "venv", machine)
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("SPARK_", "PYTHON"))}
    environment |= {"PATH": f"{python.parent}:{os.environ['PATH']}", **clone_from_here()}
    if machine.is_kaggle:
        environment |= attach_data(work / "input")
    for name in ("01_ingest", "02_features", "03_train", "04_serve"):
        folder = work / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        shutil.copy(ROOT / "notebooks" / f"{name}.ipynb", folder)
        command = [str(python), "-c", RUN_NOTEBOOK, f"{name}.ipynb", str(folder)]
        run_part(f"{name} alone in an empty folder", command, folder, environment)
        if machine.is_kaggle:
            check_data(folder / "market")
    command = [str(python), "run_all.py", "--run-dir", str(work / "run")]
    run_part("run_all.py", command, work / "04_serve" / "market", environment)
    check_versions(python, machine)


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3) or sys.argv[1] not in MACHINES:
        sys.exit(f"usage: python -m tests.check_hosted {'|'.join(MACHINES)} [WORK_FOLDER]")
    place = Path(sys.argv[2]).resolve() if len(sys.argv) > 2 else Path(tempfile.mkdtemp(prefix=f"{sys.argv[1]}-"))
    main(MACHINES[sys.argv[1]], place)
