"""What can go wrong, by kind. Each kind has the exit code that `run_all.py` ends with."""

import errno

FULL_DISK = (errno.ENOSPC, errno.EDQUOT)  # no room on the disk, or none left of this user's share of it


class PipelineError(Exception):
    """A failure with a message for the person who runs the pipeline: what happened, where, what to do next."""

    exit_code = 7


class ParameterError(PipelineError):
    """A parameter that does not exist, or whose value is of the wrong type or out of range."""

    exit_code = 2


class InputError(PipelineError):
    """Input that is missing or cannot be used at all."""

    exit_code = 3


class QualityError(PipelineError):
    """Input that was read, but is not good enough to be published."""

    exit_code = 4


class ResourceError(PipelineError):
    """The machine lacks something: Java, memory or disk."""

    exit_code = 5


class LockedError(PipelineError):
    """Another run holds the run folder, or this process no longer has the right to publish into it."""

    exit_code = 6
