"""How a process ended is told from what the system says of it."""

import signal

import pytest

from pipeline import deaths
from pipeline.deaths import count_memory_kills, describe_death


@pytest.fixture
def system(tmp_path, monkeypatch):
    """A system of which there are only the files that a test writes."""
    monkeypatch.setattr(deaths, "SYSTEM", tmp_path)

    def write(**files: str) -> None:
        for name, text in files.items():
            path = tmp_path / name.replace("__", "/").replace("_DOT_", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    return write


VERSION_2 = {"proc__self__cgroup": "0::/user/a\n", "sys__fs__cgroup__user__a__memory_DOT_events": "oom 4\noom_kill 3\n"}
VERSION_1 = {
    "proc__self__cgroup": "5:cpu:/b\n4:memory:/b\n0::/\n",
    "sys__fs__cgroup__memory__b__memory_DOT_oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n",
}
CONTAINER = {"proc__self__cgroup": "0::/docker/x\n", "sys__fs__cgroup__memory_DOT_events": "oom_kill 3\n"}
MACHINE = {"proc__self__cgroup": "0::/\n", "proc__vmstat": "nr_free_pages 7\noom_kill 3\n"}


@pytest.mark.parametrize("files", [VERSION_2, VERSION_1, CONTAINER, MACHINE], ids=["v2", "v1", "container", "machine"])
def test_kills_for_memory_are_counted_where_the_system_counts_them(system, files):
    system(**files)
    assert count_memory_kills() == 3
    assert "for want of memory" in describe_death(-signal.SIGKILL, 2)
    assert describe_death(-signal.SIGKILL, 3).startswith("was killed (SIGKILL) from outside")


def test_what_nobody_knows_is_not_guessed(system):
    assert count_memory_kills() is None
    assert "does not tell" in describe_death(-signal.SIGKILL, None)
    assert describe_death(None, None) == "has ended"


@pytest.mark.parametrize(
    ("code", "words"), [(0, "exit code 0"), (52, "exit code 52"), (-signal.SIGSEGV, "SIGSEGV"), (-64, "SIGRTMAX")]
)
def test_other_ends_have_nothing_to_do_with_memory(system, code, words):
    system(**MACHINE)
    told = describe_death(code, 0)
    assert words in told
    assert "memory" not in told
