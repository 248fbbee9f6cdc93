"""What a run folder holds now, in numbers: for run.json and for the report."""

import os
import platform
from typing import Any

import psutil
import pyarrow.compute as pc

from pipeline.datasets.contract import REASONS
from pipeline.datasets.files import hash_code
from pipeline.datasets.places import read_table
from pipeline.datasets.run_folder import DATASETS, RunFolder
from pipeline.datasets.store import Version
from pipeline.libraries import read_libraries
from pipeline.reports.damage import note_damage
from pipeline.reports.next_day import read_next_day
from pipeline.reports.refused import pick_examples
from pipeline.reports.scores import read_scores
from pipeline.reports.track_record import read_track_record
from pipeline.reports.updates import read_update

LEDGER = ("prices", "symbols", "quarantine")  # what the ledger is read from


def gather_facts(run: RunFolder) -> dict[str, Any]:
    """Datasets, ledger, flags, model scores and versions of the libraries, as they are current. Absent ones are left
    out; damaged ones too, and `damage` holds a sentence for each of them.
    """
    damage: list[str] = []
    versions: dict[str, Version] = {}
    facts: dict[str, Any] = {"datasets": {}, "versions": describe_machine(), "damage": damage}
    for name in DATASETS:
        with note_damage(damage, f"The current {name}"):
            if version := run.find(name):
                facts["datasets"][name] = describe_version(version)
                versions[name] = version
    if versions.keys() >= set(LEDGER):
        with note_damage(damage, "The ledger"):
            facts["ledger"] = read_ledger(versions)
            facts["warnings"] = versions["symbols"].manifest.get("warnings", [])
        with note_damage(damage, "The manifest of the current prices"):
            facts["flags"] = dict(versions["prices"].manifest.get("flags", {}))
        with note_damage(damage, "The record of the update"):
            if update := read_update(run, versions["prices"]):
                facts["update"] = update
    if "model" in versions:
        facts["metrics"], faults = read_scores(versions["model"].path / "metrics.json")
        damage += faults
        with note_damage(damage, "The forecasts of the next day"):
            if forecasts := read_next_day(versions["model"], versions.get("forecasts")):
                facts["next_day"] = forecasts
        with note_damage(damage, "The track record"):
            if record := read_track_record(versions["model"]):
                facts["track_record"] = record
    return facts


def describe_machine() -> dict[str, str]:
    """The versions of the code and of the libraries, and the machine."""
    memory = f"{psutil.virtual_memory().total / 2**30:.0f} GiB"
    return {
        "this project's code": hash_code(),
        "python": platform.python_version(),
        **read_libraries(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, {memory}",
    }


def describe_version(version: Version) -> dict[str, Any]:
    manifest = version.manifest
    return {
        "version": version.id,
        "folder": version.path.name,
        "rows": version.rows,
        "files": len(manifest["files"]),
        "bytes": sum(file["bytes"] for file in manifest["files"]),
        "inputs": dict(manifest["inputs"]),
    }


def read_ledger(versions: dict[str, Version]) -> dict[str, Any]:
    """Rows read, published and refused; refused ones by reason, and examples. The parts are read by pyarrow: there is
    no Spark any more.
    """
    counted = ("data_rows", "rows", "refused")
    symbols = read_table(versions["symbols"].files, columns=[*counted, "Security Name", "first_date", "last_date"])
    sums = {name: pc.sum(symbols[name]).as_py() or 0 for name in counted}
    first, last = pc.min(symbols["first_date"]).as_py(), pc.max(symbols["last_date"]).as_py()
    reasons = count_reasons(versions["quarantine"])
    refused_rows = sum(reasons.values())
    published = versions["prices"].rows
    return {
        "files": symbols.num_rows,
        "nameless": symbols["Security Name"].null_count,
        "first_date": first and first.isoformat(),
        "last_date": last and last.isoformat(),
        "read": sums["data_rows"],
        "published": published,
        "refused": refused_rows,
        "balances": sums == {"data_rows": published + refused_rows, "rows": published, "refused": refused_rows},
        "reasons": {REASONS.get(reason, reason): rows for reason, rows in reasons.items()},
        "examples": pick_examples(versions["quarantine"], list(reasons)),
    }


def count_reasons(quarantine: Version) -> dict[str, int]:
    """Refused rows by reason (a key of contract.REASONS), the most frequent reason first."""
    if not quarantine.rows:
        return {}
    refused = read_table(quarantine.files, columns=["reason", "rows"])
    sums = refused.group_by("reason").aggregate([("rows", "sum")]).to_pylist()
    return {one["reason"]: one["rows_sum"] for one in sorted(sums, key=lambda one: (-one["rows_sum"], one["reason"]))}
