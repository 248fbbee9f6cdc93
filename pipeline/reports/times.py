"""Times as people say them. Records hold them as machines write them."""

from contextlib import suppress
from datetime import UTC, datetime

from pipeline.datasets.store import TIME, TIME_FORMAT


def tell_time(text: str) -> str:
    """25 November 2026, 12:49 UTC, of 2026-11-25T12:49:33+00:00; any other text as it is."""
    with suppress(ValueError):
        moment = datetime.fromisoformat(text).astimezone(UTC)
        return f"{moment.day} {moment:%B %Y, %H:%M} UTC"
    return text


def tell_run(name: str) -> str:
    """The same of the name of a run's folder, which is the time at which it began."""
    if not TIME.fullmatch(name):
        return name
    return tell_time(datetime.strptime(name, TIME_FORMAT).replace(tzinfo=UTC).isoformat())


def tell_seconds(seconds: float) -> str:
    """12.3 s, 1 min 43 s, or 2 h 5 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
