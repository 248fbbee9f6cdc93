"""NASDAQ's symbol directory: which symbols are traded, their names, and which of them are ETFs.

nasdaqtraded.txt has the twelve columns of symbols_valid_meta.csv, separated by bars, and a last line with the time it
was made (nasdaqtrader.com/Trader.aspx?id=SymbolDirDefs). It lists what is traded on any exchange of the United States.
"""

import csv
import io
import os
import urllib.request
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from pipeline.errors import InputError

COLUMNS = (
    "Nasdaq Traded",
    "Symbol",
    "Security Name",
    "Listing Exchange",
    "Market Category",
    "ETF",
    "Round Lot Size",
    "Test Issue",
    "Financial Status",
    "CQS Symbol",
    "NASDAQ Symbol",
    "NextShares",
)
SYMBOL = "NASDAQ Symbol"
ADDRESS_VARIABLE = "NASDAQ_URL"
PATH = "/dynamic/SymDir/nasdaqtraded.txt"
ADDRESS = "https://www.nasdaqtrader.com"
FTP_ADDRESS = "ftp://ftp.nasdaqtrader.com/SymbolDirectory/nasdaqtraded.txt"
FOOTER = "File Creation Time: "
NEW_YORK = ZoneInfo("America/New_York")
OLD = timedelta(days=5)  # made several times a day; the longest pause is a weekend with a holiday at its side
PATIENCE = 60  # seconds
LARGEST = 2**26  # bytes; the real one has 1.4 million


class DirectoryError(Exception):
    """No symbol directory, or one that cannot be trusted. The message says why."""


@dataclass(frozen=True)
class Listing:
    """What is traded. made: when the directory was made. rows: NASDAQ Symbol -> its row, all of COLUMNS."""

    made: datetime
    rows: dict[str, dict[str, str]]

    def is_old(self, now: datetime) -> bool:
        return now - self.made > OLD


def fetch_listing(now: datetime) -> Listing:
    """The directory by HTTPS, or by FTP where that is not current; from NASDAQ_URL alone if it is set.

    Raises DirectoryError with all reasons if none can be had.
    """
    stand_in = os.environ.get(ADDRESS_VARIABLE)
    addresses = [stand_in.rstrip("/") + PATH] if stand_in else [ADDRESS + PATH, FTP_ADDRESS]
    found: list[Listing] = []
    reasons: list[str] = []
    for address in addresses:
        try:
            found.append(parse_listing(fetch(address, direct=bool(stand_in))))
        except DirectoryError as error:
            reasons.append(f"{address}: {error}")
            continue
        if not found[-1].is_old(now):
            break
    if not found:
        raise DirectoryError("; ".join(reasons))
    return max(found, key=lambda listing: listing.made)


def fetch(address: str, direct: bool) -> str:
    """The text at an address. direct: through no proxy. Raises DirectoryError."""
    handlers = [urllib.request.ProxyHandler({})] if direct else []
    try:
        with urllib.request.build_opener(*handlers).open(address, timeout=PATIENCE) as answer:
            data: bytes = answer.read(LARGEST)
    except Exception as error:  # urllib raises OSErrors, HTTPExceptions and ValueErrors, ftplib its own
        raise DirectoryError(f"{type(error).__name__}: {error}") from error
    return data.decode("utf-8", errors="replace")


def parse_listing(text: str) -> Listing:
    """Read a directory; test issues are left out. Raises DirectoryError for anything but a whole one."""
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines or tuple(lines[0].split("|")) != COLUMNS:
        raise DirectoryError("its first line does not name the twelve columns of nasdaqtraded.txt")
    footer = lines[-1].split("|")[0]
    if not footer.startswith(FOOTER):
        raise DirectoryError("it is cut short: its last line does not say when it was made")
    try:
        made = datetime.strptime(footer.removeprefix(FOOTER).strip(), "%m%d%Y%H:%M").replace(tzinfo=NEW_YORK)
    except ValueError as error:
        raise DirectoryError(f"it does not say when it was made: {error}") from error
    rows = {}
    for line in lines[1:-1]:
        fields = line.split("|")
        if len(fields) != len(COLUMNS):
            raise DirectoryError(f"a line has {len(fields)} fields instead of {len(COLUMNS)}: {line[:80]!r}")
        row = dict(zip(COLUMNS, fields, strict=True))
        if row["Test Issue"] != "Y" and row[SYMBOL]:
            rows[row[SYMBOL]] = row
    return Listing(made, rows)


def read_metadata(data: bytes) -> dict[str, dict[str, str]]:
    """NASDAQ Symbol -> row of a symbols_valid_meta.csv, of whatever columns it has. Raises InputError without that
    column, or where a quote is left open.
    """
    reader = csv.DictReader(io.StringIO(data.decode("utf-8-sig", errors="replace"), newline=""), strict=True)
    try:
        rows = [{name: value or "" for name, value in row.items() if name in COLUMNS} for row in reader]
    except csv.Error as error:
        message = f"symbols_valid_meta.csv cannot be read beyond line {reader.line_num} ({error}): mend or remove it."
        raise InputError(message) from error
    if SYMBOL not in (reader.fieldnames or ()):
        raise InputError(f"symbols_valid_meta.csv lacks the column {SYMBOL}: mend or remove it.")
    return {row[SYMBOL]: row for row in rows if row[SYMBOL]}


def merge_metadata(
    old: Mapping[str, dict[str, str]], listing: Mapping[str, dict[str, str]], keep: Iterable[str]
) -> dict[str, dict[str, str]]:
    """What the metadata should hold: the directory, and from `old` what it no longer lists and the symbols of `keep`,
    whose files still are those of the name they had.
    """
    kept = set(keep)
    return {**old, **{symbol: row for symbol, row in listing.items() if symbol not in old or symbol not in kept}}


def format_metadata(rows: Mapping[str, dict[str, str]]) -> bytes:
    """symbols_valid_meta.csv, by symbol."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows[symbol] for symbol in sorted(rows))
    return text.getvalue().encode()
