"""What a run will do: which stages, with which parameters, checked against the notebooks before any work starts."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml
from papermill import inspect_notebook

from pipeline.datasets.places import open_place
from pipeline.datasets.run_folder import RunFolder
from pipeline.errors import ParameterError
from pipeline.parameters import PARAMETERS, check_parameters, describe, suggest
from pipeline.stages import STAGES, Stage

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
RUN_PARAMETERS = tuple(name for name, parameter in PARAMETERS.items() if parameter.of_run)


@dataclass(frozen=True)
class Step:
    """A stage of a run, with the values of the parameters that its notebook declares."""

    stage: Stage
    notebook: Path
    parameters: Mapping[str, Any]
    asked_for: bool  # named by --from or --only, so it runs whatever its fingerprint says

    @property
    def needs_spark(self) -> bool:
        return "SPARK_MASTER" in self.parameters

    @property
    def reads_raw_files(self) -> bool:
        return "SOURCE" in self.parameters

    @property
    def brings_files(self) -> bool:
        """Whether its raw files come while it runs, so that nobody can tell beforehand what it will read."""
        return bool(self.parameters.get("UPDATE"))


@dataclass(frozen=True)
class Plan:
    """A run, checked: its run folder, its steps in order, and the values of the parameters of the run itself."""

    run: RunFolder
    steps: tuple[Step, ...]
    parameters: Mapping[str, Any]  # all values, the notebooks' defaults included
    params_file: Path

    def __getitem__(self, parameter: str) -> Any:
        return self.parameters[parameter]

    @property
    def leftover_age(self) -> timedelta:
        return timedelta(hours=self["LEFTOVER_HOURS"])


def make_plan(
    params_file: Path,
    overrides: Sequence[tuple[str, str]] = (),
    run_dir: Path | str | None = None,
    first: str | None = None,
    last: str | None = None,
    only: str | None = None,
    stages: tuple[Stage, ...] = STAGES,
    notebooks: Path = NOTEBOOKS,
) -> Plan:
    """Read the parameters and choose the stages. Raises ParameterError, before any work, for whatever cannot be
    right. run_dir: as it was given, since an empty text would be the current folder once it is a Path.
    """
    declared = {stage.name: read_declared(notebooks / stage.notebook) for stage in stages}
    known = {name for names in declared.values() for name in names} | set(RUN_PARAMETERS)
    given = find_paths(read_params_file(params_file), NOTEBOOKS.parent) | find_paths(dict(overrides), Path.cwd())
    for name in given:
        if name not in known:
            raise ParameterError(f"There is no parameter {name}{suggest(name, sorted(known))}")
    values = {name: default for names in declared.values() for name, default in names.items()}
    values |= {name: PARAMETERS[name].default for name in RUN_PARAMETERS}
    values["RUN_DIR"] = str(NOTEBOOKS.parent / "outputs" / params_file.stem)
    values |= {name: convert(name, value) for name, value in given.items()}
    if run_dir is not None:
        values["RUN_DIR"] = str(run_dir)
    check_parameters(**{name: value for name, value in values.items() if name in PARAMETERS})
    run = RunFolder(open_place(values["RUN_DIR"]).resolve())
    values["RUN_DIR"] = str(run)
    chosen = choose_stages(stages, first, last, only)
    steps = tuple(
        Step(
            stage,
            notebooks / stage.notebook,
            {name: values[name] for name in declared[stage.name]},
            stage.name in (first, only),
        )
        for stage in chosen
    )
    return Plan(run, steps, values, params_file)


def find_paths(given: Mapping[str, Any], home: Path) -> dict[str, Any]:
    """Values in which relative paths are absolute, since notebooks run in a folder of their own. home: where the
    relative ones begin: a file's in the project's folder, a command's where it is given.
    """
    values = dict(given)
    for name in ("DATA_DIR", "SYMBOLS"):  # the second may be a list of symbols instead
        text = values.get(name)
        if not isinstance(text, str) or not text or text.startswith("~") or "://" in text or "\0" in text:
            continue
        path = home / text
        if name == "DATA_DIR" or is_file(path):
            values[name] = str(path)
    return values


def is_file(path: Path) -> bool:
    with suppress(OSError):  # a list of symbols may be too long for a name
        return path.is_file()
    return False


def read_declared(notebook: Path) -> dict[str, Any]:
    """The parameters of a notebook and their defaults."""
    found = inspect_notebook(escape(notebook))
    return {name: yaml.safe_load(facts["default"]) for name, facts in found.items()}


def escape(path: Path) -> str:
    """A path as papermill wants it: it formats braces."""
    return str(path).replace("{", "{{").replace("}", "}}")


def read_params_file(path: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_bytes()) or {}  # bytes: YAML tells UTF-8 from UTF-16 by itself
    except (OSError, ValueError, yaml.YAMLError) as error:
        why = " ".join(str(error).split())
        raise ParameterError(f"{path} cannot be read as a file of parameters: {why}") from None
    if not isinstance(values, dict) or not all(isinstance(name, str) for name in values):
        raise ParameterError(f"{path} must hold lines NAME: value.")
    return values


def convert(name: str, value: Any) -> Any:
    """A value from the command line, which is text, as the parameter's type. Other values stay as they are."""
    parameter = PARAMETERS.get(name)
    if not isinstance(value, str) or parameter is None or parameter.kind is str:
        return value
    try:
        if parameter.kind is bool:
            return {"true": True, "false": False}[value.lower()]
        return parameter.kind(value)
    except (ValueError, KeyError):
        raise ParameterError(f"{name} must be {describe(parameter)}, not {value!r}.") from None


def choose_stages(
    stages: tuple[Stage, ...], first: str | None, last: str | None, only: str | None
) -> tuple[Stage, ...]:
    names = [stage.name for stage in stages]
    for name in filter(None, (first, last, only)):
        if name not in names:
            raise ParameterError(f"There is no stage {name}{suggest(name, names)}")
    if only:
        return (stages[names.index(only)],)
    start = names.index(first) if first else 0
    end = names.index(last) + 1 if last else len(stages)
    if start >= end:
        raise ParameterError(f"--from {first} comes after --to {last}: no stage is left.")
    return stages[start:end]
