"""What a run folder holds now, in numbers: for run.json and for the report."""

import json
import os
import platform
import re
from contextlib import suppress
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

import psutil
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.datasets.contract import REASONS
from pipeline.datasets.files import hash_code
from pipeline.datasets.run_folder import RunFolder
from pipeline.datasets.store import Version
from pipeline.libraries import read_libraries
from pipeline.urls import find_all_secrets

SECRET_NAME = re.compile(r"TOKEN|SECRET|PASSWORD|PASSWD|API_?KEY|CREDENTIAL|_KEY$", re.IGNORECASE)


def gather_facts(run: RunFolder) -> dict[str, Any]:
    """Datasets, ledger, flags, model scores and versions of the libraries, as they are current. Absent ones are left
    out.
    """
    versions = run.list_current()
    facts: dict[str, Any] = {
        "datasets": {name: describe_version(version) for name, version in versions.items()},
        "versions": {
            "this project's code": hash_code(),
            "python": platform.python_version(),
            **read_libraries(),
            "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, {describe_memory()}",
        },
    }
    if {"symbols", "quarantine", "prices"} <= versions.keys():
        facts["ledger"] = read_ledger(versions)
        facts["flags"] = versions["prices"].manifest.get("flags", {})
    if "model" in versions:
        with suppress(FileNotFoundError):
            facts["metrics"] = json.loads((versions["model"].path / "metrics.json").read_text())
    return facts


def describe_version(version: Version) -> dict[str, Any]:
    manifest = version.manifest
    return {
        "version": version.id,
        "folder": version.path.name,
        "rows": version.rows,
        "files": len(manifest["files"]),
        "bytes": sum(file["bytes"] for file in manifest["files"]),
        "inputs": manifest["inputs"],
    }


def read_ledger(versions: dict[str, Version]) -> dict[str, Any]:
    """Rows read, published and refused; refused ones by reason. The parts are read by pyarrow: there is no Spark any
    more.
    """
    counted = ("data_rows", "rows", "refused")
    symbols = pq.read_table(versions["symbols"].files, columns=[*counted, "Security Name", "first_date", "last_date"])
    sums = {name: pc.sum(symbols[name]).as_py() or 0 for name in counted}
    first, last = pc.min(symbols["first_date"]).as_py(), pc.max(symbols["last_date"]).as_py()
    reasons = {}
    if versions["quarantine"].rows:
        refused = pq.read_table(versions["quarantine"].files, columns=["reason", "rows"])
        sorts = refused.group_by("reason").aggregate([("rows", "sum")]).to_pylist()
        reasons = {REASONS.get(one["reason"], one["reason"]): one["rows_sum"] for one in sorts}
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
        "reasons": dict(sorted(reasons.items(), key=lambda one: -one[1])),
    }


def describe_memory() -> str:
    return f"{psutil.virtual_memory().total / 2**30:.0f} GiB"


def scrub_folder(folder: Path) -> None:
    """Take the value of every secret that the environment holds out of all files of a run, whoever wrote it there."""
    for path in filter(Path.is_file, folder.iterdir()):
        text = path.read_text(errors="surrogateescape")
        if (clean := scrub(text)) != text:
            path.write_text(clean, errors="surrogateescape")


def scrub(text: str) -> str:
    """The text without the value of any secret, as it is or as HTML, JSON and Python write it."""
    secrets = {value for name, value in os.environ.items() if SECRET_NAME.search(name) and len(value) >= 8}
    secrets |= find_all_secrets(os.environ)
    forms = {write(value) for value in secrets for write in (str, escape, partial(escape, quote=False))}
    forms |= {write(value)[1:-1] for value in secrets for write in (repr, json.dumps)}
    for form in sorted(forms, key=len, reverse=True):
        text = text.replace(form, "***")
    return text
