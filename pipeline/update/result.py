"""What an update did, and whether that is good enough."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import date

from pipeline.datasets.places import Place
from pipeline.errors import InputError, QualityError
from pipeline.update.ledger import Entry

MAX_STALE_SHARE = 0.1  # of the symbols; more that are not at the last session are a failure
FEW = 2  # stale symbols are never one


@dataclass
class UpdateResult:
    """What an update did. session: the day that the files should reach. entries: of all symbols that are followed.

    asked: how many symbols it asked for. answered: how many of them Yahoo had an answer to. stopped: why the asking
    ended before its time, "" if it did not.
    """

    root: Place
    session: date
    entries: dict[str, Entry] = field(default_factory=dict)
    asked: int = 0
    answered: int = 0
    requests: int = 0
    stopped: str = ""

    @property
    def stale(self) -> list[str]:
        """Symbols whose file should reach the session and does not."""
        return [symbol for symbol, entry in self.entries.items() if self.is_stale(entry)]

    def is_stale(self, entry: Entry) -> bool:
        gone = entry.state == "delisted" or (entry.state == "missing" and (entry.absences or not entry.through))
        return not gone and entry.through < self.session.isoformat()

    def check(self) -> None:
        """Raises InputError if nobody answered, QualityError if too many symbols are not at the session."""
        stale = self.stale
        too_many = len(stale) > max(FEW, MAX_STALE_SHARE * len(self.entries))
        if self.asked and not self.answered and (too_many or len(stale) == len(self.entries)):
            raise InputError(f"Yahoo cannot be reached: {self.stopped or self.tell_first_failure()}. Try again later.")
        if too_many:
            counts = Counter(self.entries[symbol].state or "not asked" for symbol in stale)
            why = ", ".join(f"{count:,} {state}" for state, count in counts.most_common())
            advice = f"{self.stopped}. " if self.stopped else ""
            raise QualityError(
                f"{len(stale):,} of {len(self.entries):,} symbols in {self.root} are not at {self.session} ({why}). "
                f"{advice}The same command goes on where it stopped; updates.json has the reasons."
            )

    def tell_first_failure(self) -> str:
        return next(entry.note for entry in self.entries.values() if entry.state in ("failed", "refused"))
