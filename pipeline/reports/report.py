"""report.html: one self-contained page about a run, for people who want to know whether to believe it."""

import re
import shlex
from html import escape
from pathlib import Path
from typing import Any

from pipeline.reports import times
from pipeline.reports.data_tables import drift_table, flags_table, ledger_table
from pipeline.reports.lineage import draw_lineage
from pipeline.reports.markup import list_values, section
from pipeline.reports.model_tables import models_table
from pipeline.reports.next_day import next_day_table
from pipeline.reports.pages import render_notebooks
from pipeline.reports.scores import TASKS
from pipeline.reports.scrubbing import scrub
from pipeline.reports.stages_table import gallery, stages_table
from pipeline.reports.track_record import track_record_table
from pipeline.reports.updates import updates_table
from pipeline.reports.verdicts import Verdict

STYLE = Path(__file__).with_name("report.css")
EXAMPLES = "; for example "  # what the error of a refused delivery says between its numbers and its examples
EXAMPLE_ENDS = re.compile(r"(?<=\))[;.] ")  # an example ends with its reason in brackets


def write_report(run: dict[str, Any], previous: dict[str, Any] | None, folder: Path) -> Path:
    """Write report.html into the run's folder, and its executed notebooks as HTML beside it.

    run, previous: what run.json holds of this run and of the last one that went well. Every text is escaped: names
    come from the input.
    """
    damage: list[Verdict] = [{"kept": False, "what": sentence} for sentence in render_notebooks(folder)]
    verdicts = [*damage, *run["verdicts"]]
    scores, before = run.get("metrics", {}), (previous or {}).get("metrics", {})
    sections = [
        section("Checks" if run["exit_code"] == 0 else "Checks of what earlier runs published", verdict_list(verdicts)),
        section("The next trading day", next_day_table(run)),
        section("Stages", stages_table(run["stages"], folder)),
        section("Where everything comes from", draw_lineage(run)),
        section("How the prices were brought up to date", updates_table(run)),
        section("Every row accounted for", ledger_table(run)),
        section("Suspicious rows, published but kept out of training", flags_table(run)),
        section("Drift since the previous model", drift_table(run.get("drift"))),
        *(
            section(f"{heading}: error of each model", models_table(scores, before, task))
            for task, heading in TASKS.items()
        ),
        section("Published forecasts against what came", track_record_table(run)),
        section("Pictures", gallery(run["stages"], folder), "pictures"),
        section(
            "Parameters", list_values({name: write_value(value) for name, value in run["parameters"].items()}, "name")
        ),
        section("Versions", list_values({name: str(text) for name, text in run.get("versions", {}).items()}, "of")),
    ]
    path = folder / "report.html"
    path.write_text(assemble(name_run(run), title(run, verdicts), sections))
    return path


def assemble(name: str, header: str, sections: list[str]) -> str:
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<meta name="color-scheme" content="light dark"><title>{escape(name)}</title>'
        f"<style>{STYLE.read_text()}</style>"
    )
    body = "\n".join(filter(None, [header, *sections]))
    return f'<!doctype html><html lang="en"><head>{head}</head><body><main>{body}</main></body></html>\n'


def name_run(run: dict[str, Any]) -> str:
    """What to call a run: its folder and when it began."""
    home = Path(run["parameters"].get("RUN_DIR", "")).name
    return f"{home}: run of {times.tell_time(run['started'])}" if home else f"Run of {times.tell_time(run['started'])}"


def title(run: dict[str, Any], verdicts: list[Verdict]) -> str:
    """The heading: which run, and what became of it in a sentence."""
    good = run["exit_code"] == 0
    doubtful = sum(not one["kept"] for one in verdicts)
    verdict, kind = f"The run failed with exit code {run['exit_code']}.", "bad"
    if good and doubtful:
        verdict = f"The run is done. Look at {doubtful} of its {len(verdicts)} checks before you believe it."
    elif good:
        verdict, kind = "The run went well.", "good"
    error = tell_error(run["error"]) if run["error"] else ""
    if not good and run.get("datasets"):
        error += "<p>The run folder keeps what earlier runs published; that is what the rest of this page shows.</p>"
    begun = f'<p class="soft">It took {times.tell_seconds(run["seconds"])}.</p>'
    return f'<header><h1>{escape(name_run(run))}</h1><p class="verdict {kind}">{verdict}</p>{error}{begun}</header>'


def tell_error(error: str) -> str:
    """An error: what happened, and below it what the error has as examples or on further lines, one below the other.

    Secrets go before it is taken apart.
    """
    first, _, others = scrub(error).strip().replace(EXAMPLES, "\n", 1).partition("\n")
    parts = [part for line in others.splitlines() for part in EXAMPLE_ENDS.split(line)]
    items = "".join(f"<li>{escape(part)}</li>" for part in parts if part.strip())
    return f'<p class="bad">{escape(first)}</p>' + (f'<ul class="examples">{items}</ul>' if items else "")


def verdict_list(verdicts: list[Verdict]) -> str:
    items = (
        f'<li class="{"good" if one["kept"] else "bad"}"><b>{"ok" if one["kept"] else "look"}</b> '
        f"<span>{escape(one['what'])}</span></li>"
        for one in verdicts
    )
    return f'<ul class="verdicts">{"".join(items)}</ul>' if verdicts else ""


def write_value(value: Any) -> str:
    """The value of a parameter as `run_all.py -p NAME` takes it from a shell. Secrets go before it is quoted."""
    return str(value).lower() if isinstance(value, bool) else shlex.quote(scrub(str(value)))
