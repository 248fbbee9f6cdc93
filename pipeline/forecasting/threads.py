"""The threads that grow trees: how many, and how they wait for one another."""

import os

THREADS = 2  # fixed, since sums of floating-point numbers depend on how many threads share them

# A thread with nothing to do shall sleep: while it spins, other work on the machine keeps from the core just the thread
# that it waits for, and training takes three times as long. OpenMP reads this when the first trees load it.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
