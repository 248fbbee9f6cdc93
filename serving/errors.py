"""What can go wrong in serving. `run_all.py` and `python -m serving` end with exit code 8 on most of them."""


class ServingError(Exception):
    """Serving cannot start or go on: what happened, where, what to do next."""

    exit_code = 8


class BundleError(ServingError):
    """A model bundle that is absent, damaged, of another format, or that does not answer its own golden examples."""


class StorageError(ServingError):
    """What a run folder in an object store needs is not there: its client, or a URL that can be one."""

    exit_code = 5


class UnreadableError(BundleError):
    """A bundle that is not there or cannot be read now. Unlike one that fails its checks it may be whole later."""
