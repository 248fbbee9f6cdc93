"""Daily bars in the layout of the CSVs: a file of them, Yahoo's answer, and the text of a row."""

import math
from dataclasses import dataclass, field
from datetime import date
from typing import NamedTuple, Self

from pipeline.datasets.contract import CSV_COLUMNS

HEADER = ",".join(CSV_COLUMNS)


class Bar(NamedTuple):
    """What a row holds beside its date."""

    open: float
    high: float
    low: float
    close: float
    adj_close: float
    volume: int

    def is_whole(self) -> bool:
        return all(map(math.isfinite, self))

    def format(self, day: date) -> str:
        """The row as the CSVs have it: each number in the fewest digits that give it back."""
        return f"{day.isoformat()},{','.join(map(repr, self))}"


@dataclass(frozen=True)
class Split:
    """From its day on a share is worth 1/ratio of what it was; Yahoo divides all earlier prices by it."""

    day: date
    ratio: float


@dataclass(frozen=True)
class Answer:
    """What Yahoo said of a symbol. bars: whole ones up to the final session. incomplete: days with blanks in them.

    splits: by day, those after the final session included. first_trade: None where Yahoo does not say.
    kind: Yahoo's instrument type, such as EQUITY, ETF or INDEX.
    """

    symbol: str
    kind: str
    first_trade: date | None
    bars: dict[date, Bar]
    incomplete: frozenset[date]
    splits: tuple[Split, ...]


class UnusableFileError(Exception):
    """A CSV that rows cannot be added to. The message says why."""


@dataclass
class BarFile:
    """A CSV, line by line, so that what is not changed keeps its bytes.

    lines: without the line feed, the header among them. bars: those of the whole rows. places: day -> line, also of
    rows with blanks in them.
    """

    lines: list[str]
    bars: dict[date, Bar] = field(default_factory=dict)
    places: dict[date, int] = field(default_factory=dict)

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read a CSV. Raises UnusableFileError where the seven columns are not there in their order."""
        try:
            text = data.decode()
        except UnicodeDecodeError as error:
            raise UnusableFileError(f"the file is not UTF-8 (byte {error.start})") from error
        lines = text.removesuffix("\n").split("\n")
        if lines[0].removeprefix("\N{BOM}").removesuffix("\r") != HEADER:
            raise UnusableFileError(f"the file does not begin with {HEADER}")
        found = cls(lines)
        for place, line in enumerate(lines[1:], 1):
            day, bar = parse_row(line.removesuffix("\r"))
            if day is None or day in found.bars:  # of a day that is there twice ingest keeps the first
                continue
            found.places[day] = place
            if bar is not None:
                found.bars[day] = bar
        return found

    @property
    def last_day(self) -> date | None:
        return max(self.bars, default=None)

    def put(self, bars: dict[date, Bar]) -> None:
        """Add bars, or exchange those of days that are there. All other lines stay as they are."""
        end = "\r" if self.lines[0].endswith("\r") else ""  # Windows' line ends
        for day, bar in sorted(bars.items()):
            line = bar.format(day) + end
            if day in self.places:
                self.lines[self.places[day]] = line
                continue
            place = min((place for other, place in self.places.items() if other > day), default=len(self.lines))
            self.lines.insert(place, line)
            self.places = {other: was + (was >= place) for other, was in self.places.items()} | {day: place}
        self.bars |= bars

    def format(self) -> bytes:
        return ("\n".join(self.lines) + "\n").encode()


def parse_row(line: str) -> tuple[date | None, Bar | None]:
    """Day and bar of a line: no day where it cannot be told, no bar where the row is not whole."""
    first, *fields = line.split(",")
    try:
        day = date.fromisoformat(first)
    except ValueError:
        return None, None
    if day.isoformat() != first:  # 20210127, which is a date elsewhere
        return None, None
    if len(fields) != len(CSV_COLUMNS) - 1:
        return day, None
    try:
        opening, high, low, close, adjusted = map(float, fields[:5])
        bar = Bar(opening, high, low, close, adjusted, int(float(fields[5])))
    except (ValueError, OverflowError):
        return day, None
    return day, bar if bar.is_whole() else None


def format_bars(bars: dict[date, Bar]) -> bytes:
    """A whole CSV, by date."""
    return "".join(f"{line}\n" for line in (HEADER, *(bars[day].format(day) for day in sorted(bars)))).encode()
