"""Damage in a run folder, told in a sentence: a report is written all the same."""

from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa

from pipeline.errors import FULL_DISK, InputError


@contextmanager
def note_damage(damage: list[str], what: str) -> Iterator[None]:
    """Go on where something cannot be read, with a sentence more in `damage`. what: its subject.

    A full disk is no damage: that error goes on.
    """
    try:
        yield
    except InputError as error:
        damage.append(str(error))
    except (OSError, pa.ArrowException) as error:
        if isinstance(error, OSError) and error.errno in FULL_DISK:
            raise
        damage.append(f"{what} cannot be read ({tell(error)}). Run again with --fresh.")
    except (AttributeError, KeyError, TypeError, ValueError) as error:  # a manifest of other things than it should hold
        damage.append(f"{what} is damaged ({type(error).__name__}: {tell(error)}). Run again with --fresh.")


def tell(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "no reason given")
