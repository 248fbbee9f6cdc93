"""Where the project lives: workflows, forms, the lock of libraries and what they name. None of them can run here, so
each is held against its schema and against the files and commands that it names.
"""

import json
import re
import shlex
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from pipeline.hosted import REPOSITORY

ROOT = Path(__file__).parent.parent
WORKFLOWS = sorted(ROOT.glob(".github/workflows/*.yml"))
PYTHONS = ("3.11", "3.12", "3.13")
each_workflow = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)


def read_test_command() -> str:
    """The README's, which .ci/run takes from there as well."""
    (command,) = re.findall(r"<!-- tests -->\n```bash\n(.*)\n```", (ROOT / "README.md").read_text())
    return command


def list_steps(path: Path) -> list[dict]:
    return [step for job in yaml.safe_load(path.read_text())["jobs"].values() for step in job["steps"]]


def check_schema(schema: str, *paths: Path) -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_workflows_and_forms_are_valid():
    check_schema("vendor.github-workflows", *WORKFLOWS)
    forms = ROOT / ".github" / "ISSUE_TEMPLATE"
    check_schema("vendor.github-issue-config", forms / "config.yml")
    check_schema("vendor.github-issue-forms", *(path for path in forms.glob("*.yml") if path.name != "config.yml"))


def test_the_citation_is_valid_and_names_the_same_repository_as_the_badges():
    path = ROOT / ".github" / "CITATION.cff"
    check_schema("vendor.citation-file-format", path)
    assert yaml.safe_load(path.read_text())["repository-code"] == f"https://github.com/{REPOSITORY}"


@each_workflow
def test_a_workflow_gets_no_more_rights_than_it_needs(path):
    assert "secrets." not in path.read_text()
    workflow = yaml.safe_load(path.read_text())
    assert workflow["permissions"] == {"contents": "read"}
    rights = {right for job in workflow["jobs"].values() for right in job.get("permissions", {})}
    assert rights <= {"pages", "id-token"}
    assert all(job["timeout-minutes"] for job in workflow["jobs"].values())
    for step in list_steps(path):
        assert re.fullmatch(r"actions/[a-z-]+@v\d+", step.get("uses", "actions/none@v1"))


@each_workflow
def test_what_a_workflow_names_is_there(path):
    for step in list_steps(path):
        for pattern in step.get("with", {}).get("cache-dependency-path", "").split():
            assert list(ROOT.glob(pattern)), pattern
        words = shlex.split(step.get("run", ""))
        for before, word in zip(words, words[1:], strict=False):
            if before in ("-r", "--params"):
                assert (ROOT / word).exists(), word
            if before == "-m" and word.startswith(("tests", "pipeline", "serving")):
                assert find_spec(word), word


def test_the_tests_run_as_the_readme_says_on_every_python_it_names():
    workflow = yaml.safe_load((ROOT / ".github/workflows/tests.yml").read_text())
    quick = workflow["jobs"]["tests"]
    assert quick["strategy"]["matrix"]["python"] == list(PYTHONS)
    assert "Python 3.11, 3.12 or 3.13" in (ROOT / "README.md").read_text()
    command = read_test_command()
    assert quick["steps"][-1]["run"] == command
    assert command in (ROOT / ".github" / "CONTRIBUTING.md").read_text()
    container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text())
    assert command.startswith(container["postCreateCommand"] + " && ")


def test_programs_of_the_commit_hooks_are_those_of_the_tests():
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    entries = [hook["entry"] for repository in config["repos"] for hook in repository["hooks"]]
    for entry in entries:
        assert shutil.which(entry.split()[0], path=Path(sys.executable).parent), entry
    assert not any("nbstripout" in entry for entry in entries)  # stored outputs are what nbval compares with


def test_attributes_of_files_are_valid():
    command = ["git", "check-attr", "diff", "text", "--", "notebooks/01_ingest.ipynb", "notebooks/sample/stocks/FB.csv"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert not done.stderr
    said = dict(line.rsplit(": ", 1) for line in done.stdout.splitlines())
    assert said["notebooks/01_ingest.ipynb: diff"] == "jupyternotebook"
    assert said["notebooks/sample/stocks/FB.csv: text"] == "unset"  # a checksum goes by its bytes


def read_lock() -> list[tuple[Requirement, int]]:
    """The libraries of the lock, each with the number of its hashes."""
    text = (ROOT / "deploy" / "requirements.lock").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.lstrip().startswith("#")]
    return [(Requirement(line.split(" --hash")[0]), line.count("--hash=sha256:")) for line in lines]


def list_requirements(path: Path) -> list[Requirement]:
    lines = (line.split("#")[0].strip() for line in path.read_text().splitlines())
    return [Requirement(line) for line in lines if line and not line.startswith("-r")]


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("system", ["linux", "darwin"])
def test_the_lock_meets_the_requirements(python, system):
    there = default_environment() | {"python_version": python, "python_full_version": f"{python}.9"}
    there |= {"sys_platform": system, "os_name": "posix"}
    pins = {}
    for pin, _ in read_lock():
        if pin.marker is None or pin.marker.evaluate(there):
            name = canonicalize_name(pin.name)
            assert name not in pins, f"{name} is listed twice for Python {python}"
            pins[name] = str(pin.specifier).removeprefix("==")
    listed = list_requirements(ROOT / "requirements.txt")
    wanted = [one for one in listed if one.marker is None or one.marker.evaluate(there)]
    wanted += [one for one in list_requirements(ROOT / "tests/requirements.txt") if one.name == "xgboost-cpu"]
    for requirement in wanted:
        version = pins.get(canonicalize_name(requirement.name))
        assert version and requirement.specifier.contains(version), f"{requirement}, but {version} in the lock"


def test_the_lock_can_be_checked_and_tells_how_it_is_made():
    text = (ROOT / "deploy" / "requirements.lock").read_text()
    for pin, hashes in read_lock():
        assert re.fullmatch(r"==[^,]+", str(pin.specifier)), pin
        assert hashes, pin
    assert "://" not in text and "index-url" not in text and "find-links" not in text  # nothing of who made it
    (made,) = re.findall(r"^#    (uv .*)$", text, re.MULTILINE)
    assert f"\n{made}\n" in (ROOT / "deploy" / "README.md").read_text()


@pytest.mark.parametrize("image", ["pipeline", "serving"])
def test_what_an_image_is_made_of_goes_to_its_builder(image):
    """Each COPY of a Dockerfile finds its files, and the list of what goes to the builder has them."""
    folder = ROOT / "deploy" / "docker"
    copied = re.findall(r"^COPY (\S+) ", (folder / f"{image}.Dockerfile").read_text(), re.MULTILINE)
    sent = (folder / f"{image}.Dockerfile.dockerignore").read_text().splitlines()
    for source in copied:
        assert list(ROOT.glob(source)), source
        assert any(line[1:] and source.startswith(line[1:]) for line in sent if line.startswith("!")), source


def test_the_health_check_of_the_pipelines_image_holds():
    text = (ROOT / "deploy" / "docker" / "pipeline.Dockerfile").read_text()
    (check,) = re.findall(r"HEALTHCHECK .*?CMD (\[.*?\])\n", text, re.DOTALL)
    _, *arguments = json.loads(check)
    done = subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_links_between_documents_lead_somewhere():
    listed = subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True).stdout.splitlines()
    links = [(name, link) for name in listed for link in re.findall(r"\]\(([^)\s]+)\)", (ROOT / name).read_text())]
    assert links
    for name, link in links:
        target, _, heading = link.partition("#")
        if "://" in link or link.startswith("mailto:"):
            continue
        path = (ROOT / name).parent / target if target else ROOT / name
        assert path.exists(), f"{name}: {link}"
        assert not heading or heading in list_anchors(path), f"{name}: {link}"


def list_anchors(path: Path) -> set[str]:
    """The anchors that GitHub gives to a document's headings."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
