"""What the symbols are called: by their files, and by the metadata."""

import csv
import io
import re
import zlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from pipeline.datasets.places import Place
from pipeline.errors import InputError
from pipeline.ingest.delivery import METADATA, read_files

# Windows cannot have a file PRN.csv, so archives made there call it _PRN.csv.
RESERVED = {"CON", "PRN", "AUX", "NUL", *(f"{port}{number}" for port in ("COM", "LPT") for number in range(1, 10))}
USUAL_SYMBOL = re.compile(r"[A-Z0-9.^#$=+*-]+", re.ASCII)


@dataclass(frozen=True)
class Names:
    """What the metadata says. by_symbol: NASDAQ Symbol -> Security Name; repeated: the symbols that stand there more
    than once; checksum: CRC-32 of the bytes that were read.
    """

    by_symbol: dict[str, str]
    repeated: list[str]
    checksum: int


def read_names(root: Place, prefix: str) -> Names:
    """Read the metadata. (The column `Symbol` is another notation: AGM$A there is AGM-A here and in the file names.)
    Strict about quotes: one that is left open would swallow the lines up to the next quote.
    """
    ((_, data),) = read_files(root, prefix, [METADATA])
    rows = csv.DictReader(io.StringIO(data.decode("utf-8-sig", errors="replace"), newline=""), strict=True)
    try:
        named = [(row.get("NASDAQ Symbol"), row.get("Security Name")) for row in rows]
    except csv.Error as error:
        raise InputError(
            f"{METADATA} in {root} cannot be read beyond line {rows.reader.line_num} ({error}): a quote is left open "
            "or out of place there or in a line before. Mend it, or download the file again."
        ) from error
    lacking = {"NASDAQ Symbol", "Security Name"} - set(rows.fieldnames or ())
    if lacking:
        raise InputError(
            f"{METADATA} in {root} lacks the column {' and '.join(sorted(lacking))}: the names join on them."
        )
    counted = Counter(symbol for symbol, _ in named if symbol)
    repeated = [symbol for symbol, count in counted.items() if count > 1]
    return Names({symbol: name for symbol, name in named if symbol and name}, repeated, zlib.crc32(data))


def read_symbol(path: str, names: dict[str, str]) -> str:
    """The symbol that a file is named after, character by character. _PRN.csv is PRN if the metadata knows that
    symbol.
    """
    stem = path.rsplit("/", 1)[1][: -len(".csv")]
    bare = stem.removeprefix("_")
    return bare if bare in RESERVED and bare in names else stem


def is_doubtful(symbol: str, names: dict[str, str]) -> bool:
    """Whether no exchange writes a symbol like this: `aapl`, or `AAPL (1)` as browsers call a second copy."""
    return symbol not in names and USUAL_SYMBOL.fullmatch(symbol) is None


def warn_of_odd_input(left_out: list[str], odd: list[str], repeated: list[str]) -> tuple[str, ...]:
    """A line for each thing in a delivery that may be a mistake and stops nothing.

    left_out: files that are not read; odd: files whose names look like no symbol; repeated: symbols that the metadata
    names twice.
    """
    warnings = []
    if left_out:
        warnings.append(
            f"not read, since only stocks/SYMBOL.csv and etfs/SYMBOL.csv are: {list_some(left_out)}. "
            "Unpack or move what should be read."
        )
    if odd:
        warnings.append(f"read as symbols of their own, spelt like no symbol: {list_some(odd)}. Rename or remove them.")
    if repeated:
        warnings.append(f"named more than once in {METADATA}, where the last name counts: {list_some(repeated)}.")
    return tuple(warnings)


def list_some(names: Iterable[str], most: int = 5) -> str:
    """The first names, and how many more there are. They come from the input: what is not printable is escaped."""
    all_names = [name if name.isprintable() else ascii(name) for name in names]
    more = f" and {len(all_names) - most:,} more" if len(all_names) > most else ""
    return ", ".join(all_names[:most]) + more
