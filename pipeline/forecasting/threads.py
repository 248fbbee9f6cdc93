"""The threads that grow trees: how many, and how they wait for one another."""

import os
from contextlib import AbstractContextManager

from threadpoolctl import threadpool_limits

THREADS = 2  # fixed, since sums of floating-point numbers depend on how many threads share them

# A thread with nothing to do shall sleep: while it spins, other work on the machine keeps from the core just the thread
# that it waits for, and training takes three times as long. OpenMP reads this when the first trees load it.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def limit_threads() -> AbstractContextManager[object]:
    """Have scikit-learn, which else takes all cores, share its sums between THREADS for the length of the block."""
    limit: AbstractContextManager[object] = threadpool_limits(THREADS, user_api="openmp")
    return limit
