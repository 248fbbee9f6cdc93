"""Run a job of tasks and bring back its counts; what a task says of its failure reaches the person who runs it."""

import re

import pyarrow as pa
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame

from pipeline import errors

# A task's exception arrives as the text of its traceback. These are the project's own kinds, with their message.
OWN_ERROR = re.compile(r"pipeline\.errors\.(\w+): (.+)")


def collect(frame: DataFrame) -> pa.Table:
    """The rows of a frame whose tasks do the work. Raises the PipelineError that a task raised, as itself."""
    try:
        return frame.toArrow()
    except PySparkException as error:
        found = OWN_ERROR.search(str(error))
        if found is None:
            raise
        raise getattr(errors, found[1])(found[2].strip()) from error
