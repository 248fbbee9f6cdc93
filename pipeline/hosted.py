"""What a notebook opened alone in Google Colab or on Kaggle needs: missing libraries, and the stages before it.

Also the one place where the repository's address stands. The badges and setup cells repeat it, since they work before
this module can be imported; set it everywhere with

    python -m pipeline.hosted OWNER/NAME
"""

import os
import re
import subprocess
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, distributions, requires, version
from pathlib import Path

from packaging.requirements import Requirement

from pipeline.datasets.lock import TOKEN_VARIABLE
from pipeline.environment import KAGGLE
from pipeline.errors import ParameterError, ResourceError
from pipeline.stages import STAGES

REPOSITORY = "OWNER/REPOSITORY"

ROOT = Path(__file__).parent.parent

# Colab and Kaggle have the full xgboost. The light build would overwrite its files, as both are the module `xgboost`.
SAME_MODULE = {"xgboost-cpu": "xgboost"}


def prepare(stage: str) -> None:
    """Install what `stage`'s notebook lacks and run the stages before it that have not been run here."""
    if TOKEN_VARIABLE in os.environ:
        return  # run_all.py runs this notebook, and has run the stages before it
    install_missing()
    names = [other.name for other in STAGES]
    earlier = names[: names.index(stage)]
    if earlier:
        run_stages(last=earlier[-1])


def list_missing(requirements: str) -> list[str]:
    """The lines of a requirements file that this Python does not meet, extras included."""
    lines = (line.split("#")[0].strip() for line in requirements.splitlines())
    return [line for line in lines if line and not is_met(Requirement(line))]


def is_met(requirement: Requirement, extra: str = "") -> bool:
    """Whether an installed version satisfies `requirement`, read as a dependency of another package's `extra`."""
    if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
        return True
    if is_installed(SAME_MODULE.get(requirement.name)):
        return True
    if not is_installed(requirement.name):
        return False
    if not requirement.specifier.contains(version(requirement.name), prereleases=True):
        return False
    needs = [Requirement(line) for line in requires(requirement.name) or []]
    return all(is_met(need, wanted) for wanted in requirement.extras for need in needs)


def is_installed(package: str | None) -> bool:
    try:
        return package is not None and version(package) is not None
    except PackageNotFoundError:
        return False


def install_missing() -> None:
    """Install the missing requirements; whatever is there stays at its version, so no restart is needed."""
    missing = list_missing((ROOT / "requirements.txt").read_text())
    if not missing:
        return
    with tempfile.TemporaryDirectory() as folder:
        pins = Path(folder, "constraints.txt")
        pins.write_text("".join(sorted(f"{one.name}=={one.version}\n" for one in distributions() if one.name)))
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--constraint", str(pins), *missing]
        done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        why = f"pip could not install {', '.join(missing)}: {find_error(done.stderr)}"
        raise ResourceError(f"{why}. On Kaggle, internet must be on (Settings)." if KAGGLE in os.environ else why)
    print(f"installed: {', '.join(sorted(Requirement(line).name for line in missing))}")


def find_error(said: str) -> str:
    """The line with which a program says why it failed: the first that begins with "error", else the last."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith("error")]
    return [*errors, *lines[-1:], "it does not say why"][0]


def run_stages(last: str) -> None:
    """Run the stages up to `last` with the notebooks' own defaults; what has run already is skipped."""
    command = [sys.executable, "run_all.py", "--to", last, "--quiet"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise ResourceError(f"The stages up to `{last}` did not run: {find_error(done.stderr)}")
    print(f"ok: the stages up to {last} are there")


def set_repository(address: str) -> list[Path]:
    """Write `address` (OWNER/NAME on GitHub) over the present one, wherever it stands in the project."""
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", address):
        raise ParameterError(f"{address!r} is not OWNER/NAME of a GitHub repository, for example octocat/market")
    named = [ROOT / "README.md", ROOT / ".github" / "CITATION.cff", Path(__file__)]
    files = [*sorted((ROOT / "notebooks").glob("*.ipynb")), *named]
    for file in files:
        file.write_text(file.read_text().replace(REPOSITORY, address))
    return files


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m pipeline.hosted OWNER/NAME")
    try:
        changed = set_repository(sys.argv[1])
    except ParameterError as error:
        sys.exit(str(error))
    print(f"{sys.argv[1]}: {', '.join(file.name for file in changed)}")
