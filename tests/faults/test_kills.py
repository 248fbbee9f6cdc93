"""A few of the kills of `python -m tests.faults.kills` in every run of the tests, with seeds that can be repeated."""

import random

import pytest

from tests.faults.kills import kill_publishers, kill_runs


def test_publishers_killed_at_random(tmp_path):
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    kill_publishers(10, seed, tmp_path)


@pytest.mark.slow
def test_runs_killed_at_random(tmp_path):
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    kill_runs(1, seed, tmp_path)
