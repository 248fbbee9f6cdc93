"""Inject all faults and print what came of each: python -m tests.faults [NUMBER]...

Exits with 1 if any fault did not end as expected.
"""

import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree

import pytest
from rich.console import Console
from rich.table import Table

from tests.faults.table import FAULTS


def main(numbers: list[int]) -> int:
    chosen = numbers or list(FAULTS)
    nodes = dict.fromkeys(node for number in chosen for node in FAULTS[number].tests)
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "results.xml"
        # No notebook is collected, so that Spark starts only where a test asks for it. Slow tests are wanted here.
        pytest.main([*nodes, "-q", "-o", "addopts=--strict-markers", f"--junitxml={report}"])
        outcomes = read_outcomes(report)
    table = Table("#", "fault", "expected", "result")
    results = {number: judge(FAULTS[number].tests, outcomes) for number in chosen}
    for number, result in results.items():
        table.add_row(str(number), FAULTS[number].fault, FAULTS[number].expected, result)
    Console().print(table)
    return int(any(result != "as expected" for result in results.values()))


def read_outcomes(report: Path) -> dict[str, list[str]]:
    """Node without its parameters -> the outcome of each of its cases."""
    outcomes: dict[str, list[str]] = {}
    for case in ElementTree.parse(report).iterfind(".//testcase[@classname]"):
        node = f"{case.get('classname').replace('.', '/')}.py::{case.get('name').split('[')[0]}"
        bad = next((child.tag for child in case if child.tag in ("failure", "error", "skipped")), "passed")
        outcomes.setdefault(node, []).append(bad)
    return outcomes


def judge(nodes: tuple[str, ...], outcomes: dict[str, list[str]]) -> str:
    found = [outcome for node in nodes for outcome in outcomes.get(node, ["not run"])]
    wrong = sorted({outcome for outcome in found if outcome != "passed"})
    return ", ".join(wrong) or "as expected"


if __name__ == "__main__":
    sys.exit(main([int(argument) for argument in sys.argv[1:]]))
