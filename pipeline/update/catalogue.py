"""Which symbols there are: those of the folder, and those of NASDAQ's directory, whose names become the metadata."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from pipeline.datasets.places import Place
from pipeline.errors import InputError
from pipeline.update.folder import MarketFolder
from pipeline.update.ledger import IDENTIFIED, Entry
from pipeline.update.listing import DirectoryError, fetch_listing, format_metadata, merge_metadata, read_metadata
from pipeline.update.spelling import YAHOO_SYMBOL, spell_for_yahoo

Rows = dict[str, dict[str, str]]


@dataclass(frozen=True)
class Catalogue:
    """What the folder and the directory hold.

    metadata: the folder's, as it was. listed: the directory, None where it could not be had. files: symbol -> CSVs.
    warning: what a person should know about the directory, or "". is_current: whether absence from it means something.
    """

    metadata: Rows
    listed: Rows | None
    files: dict[str, list[Place]]
    warning: str = ""
    is_current: bool = True

    @cached_property
    def known(self) -> set[str]:
        """NASDAQ's spellings: of what is listed, and of what was."""
        return self.metadata.keys() | (self.listed or {}).keys()

    def spell(self, symbol: str) -> str | None:
        """Yahoo's spelling of a symbol, None if it can have none.

        BRK-B is NASDAQ's for a preferred share if the directory has it, else Yahoo's for a class of common stock.
        """
        if symbol not in self.known and YAHOO_SYMBOL.fullmatch(symbol):
            return symbol
        return spell_for_yahoo(symbol)

    def find(self, name: str) -> str:
        """The symbol that somebody means: as its file or the directory spell it, else as Yahoo spells one of these."""
        if name in self.files:
            return name
        if name in self.known:
            yahoo = self.spell(name)
            return yahoo if yahoo in self.files and yahoo not in self.known else name
        return next((symbol for symbol in self.listed or () if spell_for_yahoo(symbol) == name), name)

    def list_unfiled(self) -> set[str]:
        """Listed symbols that Yahoo can have and the folder has not, also not under Yahoo's spelling."""
        spelled = {symbol: self.spell(symbol) for symbol in (self.listed or {}).keys() - self.files.keys()}
        return {
            symbol
            for symbol, yahoo in spelled.items()
            if yahoo is not None and (yahoo not in self.files or yahoo in self.known)
        }


def read_catalogue(folder: MarketFolder, now: datetime) -> Catalogue:
    """What the folder holds and what the directory says now.

    Raises InputError for metadata that cannot be read, and for a folder without any where the directory cannot be had.
    """
    data = folder.read(folder.metadata)
    metadata = {} if data is None else read_metadata(data)
    files = folder.list_files(dict.fromkeys(metadata, ""))
    try:
        listing = fetch_listing(now)
    except DirectoryError as error:
        if data is None:
            raise InputError(
                f"{folder.root} begins with NASDAQ's symbol directory, which cannot be had: {error}. Try again later."
            ) from error
        warning = f"NASDAQ's symbol directory cannot be had: {error}. New listings wait for the next update."
        return Catalogue(metadata, None, files, warning)
    if listing.is_old(now):
        warning = f"NASDAQ's symbol directory was made on {listing.made:%Y-%m-%d}: delistings wait for a newer one."
        return Catalogue(metadata, listing.rows, files, warning, is_current=False)
    return Catalogue(metadata, listing.rows, files)


def write_metadata(folder: MarketFolder, catalogue: Catalogue, entries: Mapping[str, Entry]) -> None:
    """Make symbols_valid_meta.csv the directory's. Symbols whose file is not known to be of what is listed now keep
    the name they had: a ticker may have been given to another company.
    """
    if catalogue.listed is None:
        return
    unsure = [symbol for symbol in catalogue.files if symbol not in entries or entries[symbol].state not in IDENTIFIED]
    data = format_metadata(merge_metadata(catalogue.metadata, catalogue.listed, unsure))
    if folder.read(folder.metadata) != data:
        folder.replace(folder.metadata, data)
