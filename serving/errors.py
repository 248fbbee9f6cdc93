"""What can go wrong in serving. `run_all.py` and `python -m serving` end with exit code 8 on all of them."""


class ServingError(Exception):
    """Serving cannot start or go on: what happened, where, what to do next."""

    exit_code = 8


class BundleError(ServingError):
    """A model bundle that is absent, damaged, of another format, or that does not answer its own golden examples."""


class UnreadableError(BundleError):
    """A bundle that is not there or cannot be read now. Unlike one that fails its checks it may be whole later."""
