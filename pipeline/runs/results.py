"""What became of a run: for the terminal, run.json and the report."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pipeline.datasets.files import write_atomically
from pipeline.datasets.leftovers import list_entries
from pipeline.datasets.places import Place, remove
from pipeline.datasets.run_folder import RunFolder
from pipeline.datasets.store import TIME
from pipeline.errors import InputError
from pipeline.reports.drift import Drift
from pipeline.reports.facts import gather_facts
from pipeline.reports.previous import find_previous
from pipeline.reports.report import write_report
from pipeline.reports.scrubbing import scrub_folder
from pipeline.reports.verdicts import Verdict, judge, tell_models
from pipeline.runs.fingerprint import STATE, read_state


@dataclass
class StageResult:
    """What became of a stage: `done`, `cached`, `failed` or `skipped`."""

    name: str
    state: str = "skipped"
    seconds: float = 0.0
    why: str | None = None  # why it ran
    error: str | None = None
    peak_bytes: int = 0  # memory of all processes of the run together
    run: str | None = None  # of a cached stage: the folder of the run that made its output


@dataclass
class RunResult:
    """A run, as run.json holds it."""

    started: str
    stages: list[StageResult]
    parameters: dict[str, Any]
    exit_code: int | None = None  # until the run has ended
    error: str | None = "The run has not ended: it is at work, or it was killed."
    seconds: float = 0.0
    drift: Drift | None = None
    verdicts: list[Verdict] = field(default_factory=list)
    outcome: list[str] = field(default_factory=list)  # how good the models are, a sentence each
    folder: Path = field(default=Path())
    kept: Place | None = None  # where the records were put at the end

    @property
    def records(self) -> Place:
        """Where the records are to be found."""
        return self.kept or self.folder

    def end(self, exit_code: int, error: str | None = None) -> None:
        self.exit_code, self.error = exit_code, error

    def write(self, facts: dict[str, Any] | None = None) -> dict[str, Any]:
        """Write run.json, with what else is known of the run. Returns what it holds."""
        run = asdict(self) | {"folder": self.folder.name} | (facts or {})
        del run["kept"]
        run["verdicts"] = self.verdicts = judge(run)
        run["outcome"] = self.outcome = tell_models(run)
        write_atomically(self.folder / "run.json", json.dumps(run, indent=1) + "\n")
        return run

    def write_all(self, run: RunFolder) -> None:
        """Write run.json for machines and report.html for people, and take secrets out of all records of the run."""
        try:
            self.write()  # how it ended, whatever the datasets are like
            facts = gather_facts(run)
            previous, faults = find_previous(run.path / "runs" / self.folder.name)
            facts["damage"] += faults
            write_report(self.write(facts), previous, self.folder)
        finally:
            scrub_folder(self.folder)


def clear_records(run: RunFolder) -> list[str]:
    """Remove what killed runs left half-written beside the datasets, and the record of the stages if it is damaged;
    put the records of killed runs where they belong.

    Only for the holder of the run folder. Returns a sentence for what a person may wonder about.
    """
    patterns = (f".{STATE}-*", "profiles/.*", "runs/*/.*", "runs/*/*.progress")
    for path in run.publishing.find_half_written(patterns):  # no folders: Jupyter keeps some beside notebooks
        path.unlink()
    for folder in run.publishing.find_unkept():
        scrub_folder(folder)
        run.keep_records(folder)
    try:
        read_state(run)
    except InputError as error:
        (run.path / STATE).unlink()
        return [f"{str(error).split(': remove')[0]}: it is removed, and every stage runs again."]
    return []


def prune_runs(run: RunFolder, keep: int) -> None:
    """Remove the records of all but the `keep` newest runs, and never of one that made what is current."""
    used = {stage.get("run") for stage in read_state(run).values()}
    folders = [path for path in list_entries(run.path / "runs") if TIME.fullmatch(path.name)]
    for folder in folders[:-keep]:
        if folder.name not in used:
            remove(folder)
