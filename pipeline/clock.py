"""What time it is: by the machine's clock, or what AS_OF in the environment says instead, for tests and for replays."""

import os
from dataclasses import dataclass
from datetime import UTC, datetime

from pipeline.errors import ParameterError

VARIABLE = "AS_OF"
OLDEST = datetime(1990, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Clock:
    """An instant with its time zone. is_real: whether it is the machine's own; what is done at another is a replay."""

    now: datetime
    is_real: bool = True


def read_clock() -> Clock:
    """Now. Raises ParameterError where AS_OF is no time."""
    text = os.environ.get(VARIABLE)
    return Clock(read_time(text, VARIABLE), is_real=False) if text else Clock(datetime.now(UTC))


def read_time(text: str, name: str) -> datetime:
    """An instant of the past. name: what it was given by. Raises ParameterError, which says how to write one."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise ParameterError(f"{name} {text}: {error}. Write it like 2021-01-27T20:15-05:00.") from error
    if time.tzinfo is None:
        raise ParameterError(f"{name} {text} lacks its time zone. Write it like 2021-01-27T20:15-05:00.")
    if not OLDEST <= time <= datetime.now(UTC):
        raise ParameterError(f"{name} {text} must lie between {OLDEST.year} and now.")
    return time
