"""A row of the table of faults."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """A fault, what is expected of the project, and the pytest nodes that show it."""

    fault: str
    expected: str
    tests: tuple[str, ...]
