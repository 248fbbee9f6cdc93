"""A whole folder brought up to the last session that has closed."""

from collections.abc import Callable, Iterable
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from pipeline.datasets.places import Place, open_place
from pipeline.errors import ResourceError
from pipeline.update.asking import ask_all, ask_patiently
from pipeline.update.catalogue import read_catalogue, write_metadata
from pipeline.update.folder import hold_folder
from pipeline.update.ledger import Entry, open_ledger
from pipeline.update.plan import make_plan
from pipeline.update.result import UpdateResult
from pipeline.update.sessions import find_final_session

if TYPE_CHECKING:
    from pipeline.update.yahoo import Yahoo

RATE = 0.4  # requests a second: what yfinance's documentation advises, two in five seconds
PERSONAL_USE = "Yahoo's data are for personal use. Do not pass them on."
INSTALL = "pip install -r pipeline/update/requirements.txt"


def update_folder(
    root: Place | str,
    symbols: Iterable[str] | None = None,
    rate: float = RATE,
    full: bool = False,
    now: datetime | None = None,
    tell: Callable[[str], None] = print,
) -> UpdateResult:
    """Bring a folder of CSVs up to the last session that closed four hours before `now`.

    root: or its path as text, or a URL. symbols: who is followed, in NASDAQ's or Yahoo's spelling; None for all of the
    folder and of NASDAQ's directory. rate: requests a second at most. full: fetch all rows of every symbol. tell: gets
    what a person should know, line by line. Raises ResourceError without yfinance or where the folder cannot be
    written, InputError for one that cannot be a folder or cannot be begun, LockedError if another update holds it. The
    result's `check` says whether it is good enough.
    """
    root, now = open_place(root).expanduser(), now or datetime.now(UTC)
    result = UpdateResult(root, find_final_session(now))
    with closing(open_yahoo(rate)) as yahoo, hold_folder(root) as folder, open_ledger(folder) as ledger:
        catalogue = read_catalogue(folder, now)
        if catalogue.warning:
            tell(f"warning: {catalogue.warning}")
        plan = make_plan(catalogue, ledger, symbols, result.session, full, now)
        write_metadata(folder, catalogue, {})  # before the first CSV: without it nobody can read the folder
        try:
            if plan.tasks:
                tell(PERSONAL_USE)
                ask = partial(ask_patiently, folder=folder, yahoo=yahoo, final=result.session, full=full, tell=tell)
                ask_all(plan.tasks, ask, ledger, result, now)
        finally:
            write_metadata(folder, catalogue, ledger.entries)
        result.requests = yahoo.requests
        result.entries = {symbol: ledger.get(symbol) or Entry("") for symbol in plan.followed}
    return result


def open_yahoo(rate: float) -> "Yahoo":
    try:
        from pipeline.update.yahoo import Yahoo
    except ImportError as error:
        raise ResourceError(f"An update needs yfinance ({error}): {INSTALL}") from error
    return Yahoo(rate)
