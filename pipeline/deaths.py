"""How a process came to its end, from what the system says of it and never from a guess."""

import re
import signal
from collections.abc import Iterator
from pathlib import Path

SYSTEM = Path("/")  # the root of /proc and /sys


def describe_death(code: int | None, kills_before: int | None) -> str:
    """What became of a process, as it continues its name. code: as Popen.returncode has it, minus the number of a
    signal; None if nobody knows. kills_before: count_memory_kills() of when it began.
    """
    if code is None:
        return "has ended"
    if code >= 0:
        return f"ended by itself with exit code {code}"
    name = signal.Signals(-code).name if -code in {*signal.Signals} else f"signal {-code}"
    if -code != signal.SIGKILL:
        return f"was ended by {name}"
    match killed_for_memory(code, kills_before):
        case True:
            return "was killed by the system for want of memory"
        case False:
            return f"was killed ({name}) from outside: the system counts no kill for want of memory"
        case _:
            return f"was killed ({name}); this system does not tell whether that was for want of memory"


def killed_for_memory(code: int | None, kills_before: int | None) -> bool | None:
    """Whether the system ended a process for want of memory; None where it does not tell."""
    if code != -signal.SIGKILL:
        return False
    kills = count_memory_kills()
    return None if kills is None or kills_before is None else kills > kills_before


def count_memory_kills() -> int | None:
    """How many processes the system has killed for want of memory: in this process's control group where the system
    counts by groups, else on the machine. None where it does not tell.
    """
    for file in list_counters():
        try:
            found = re.search(r"^oom_kill (\d+)", file.read_text(), re.MULTILINE)
        except OSError:
            continue
        if found:
            return int(found[1])
    return None


def list_counters() -> Iterator[Path]:
    """The files that may hold the count, the nearest first. A container may see its own group as the root of all."""
    groups = SYSTEM / "sys" / "fs" / "cgroup"
    try:
        lines = (SYSTEM / "proc" / "self" / "cgroup").read_text().splitlines()
    except OSError:
        lines = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(","):
            yield groups / "memory" / path.lstrip("/") / "memory.oom_control"
            yield groups / "memory" / "memory.oom_control"
        elif not controllers:
            yield groups / path.lstrip("/") / "memory.events"
            yield groups / "memory.events"
    yield SYSTEM / "proc" / "vmstat"
