"""What to make of Yahoo's answer: rows to add, a past that has changed, or what cannot be explained.

Yahoo's prices of the past are not fixed. A dividend lowers all Adj Close before it, a split divides all prices before
it. Who only adds rows then mixes two bases, and returns, medians and models see a fall that never was. So the last days
of a file are asked for again: where they agree, the basis is the same and rows can be added; where not, all of the
symbol is fetched anew. What neither explains is held: nothing is written, and a person is told why.
"""

from collections.abc import Iterable
from datetime import date
from math import isclose, log, prod
from statistics import median

from pipeline.update.bars import Answer, Bar, BarFile, Split

OVERLAP = 10  # sessions that are asked for again
SAME = 2e-6  # relative; Yahoo's prices are 32 bit floats, good to 6e-8, and its factors are rounded as well
SAME_RATIO = 1e-3  # relative; between a change of all prices and a split
MAX_LOST_SHARE = 0.02  # of our days that Yahoo does not have any more
PLAIN_SPLIT = log(1.5)  # a smaller one cannot be told from the day's own change of price


class HeldError(Exception):
    """Nothing is written, since the answer cannot be explained. The message says why."""


def find_overlap(file: BarFile) -> date:
    """The day from which to ask: OVERLAP whole rows back, or the first of them."""
    return sorted(file.bars)[-OVERLAP:][0]


def check_identity(file: BarFile, answer: Answer, asked: str) -> list[date]:
    """The days that the file and Yahoo have in common. Raises HeldError if these are two different securities."""
    last = max(file.bars)
    if answer.symbol.upper() != asked.upper():
        raise HeldError(f"asked for {asked}, Yahoo answers for {answer.symbol}: renamed?")
    if answer.first_trade is not None and answer.first_trade > last:
        raise HeldError(f"Yahoo's {asked} began on {answer.first_trade}, after our last day, {last}: reused ticker?")
    common = sorted(file.bars.keys() & answer.bars.keys())
    if not common:
        raise HeldError(f"no day in common with Yahoo's {asked}")
    return common


def is_same_basis(file: BarFile, answer: Answer, common: Iterable[date]) -> bool:
    """Whether Close and Adj Close agree on the days in common."""
    return all(
        isclose(file.bars[day].close, answer.bars[day].close, rel_tol=SAME)
        and isclose(file.bars[day].adj_close, answer.bars[day].adj_close, rel_tol=SAME)
        for day in common
    )


def find_changes(file: BarFile, answer: Answer) -> tuple[dict[date, Bar], dict[date, Bar]]:
    """Of an answer on the same basis: bars that the file has not, and those that Yahoo has changed since (usually the
    Volume of the last days).
    """
    begin = min(file.bars.keys() & answer.bars.keys())
    added = {day: bar for day, bar in answer.bars.items() if day not in file.bars and day > begin}
    revised = {
        day: bar for day, bar in answer.bars.items() if day in file.bars and not is_same_bar(file.bars[day], bar)
    }
    return added, revised


def is_same_bar(ours: Bar, theirs: Bar) -> bool:
    prices = zip(ours[:-1], theirs[:-1], strict=True)
    return ours.volume == theirs.volume and all(isclose(one, other, rel_tol=SAME) for one, other in prices)


def check_whole(file: BarFile, whole: Answer, asked: str) -> str:
    """Whether all of a symbol may take the place of our rows. Returns what has changed, for a person.

    Raises HeldError where days were lost or prices have changed by a ratio that no split explains.
    """
    common = check_identity(file, whole, asked)
    lost = len(file.bars) - len(common)
    if lost > max(1, MAX_LOST_SHARE * len(file.bars)):
        raise HeldError(f"Yahoo lacks {lost:,} of our {len(file.bars):,} days")
    compared = common[-OVERLAP:]
    known = [split for split in whole.splits if split.day > compared[0]]
    ratios = [whole.bars[day].close / file.bars[day].close for day in compared if file.bars[day].close]
    if ratios:
        unexplained = [ratio for ratio in ratios if not is_explained(ratio, known)]
        if len(unexplained) * 2 > len(ratios):
            listed = ", ".join(f"{split.ratio:g} on {split.day}" for split in known) or "none"
            raise HeldError(f"Close is {median(unexplained):.6g} times ours; splits since: {listed}")
    check_splits_applied(whole, compared[-1])
    return describe_change(file, whole, compared, lost)


def is_explained(ratio: float, splits: list[Split]) -> bool:
    """Whether prices have changed by nothing, or by the splits since some day.

    Which of the splits our rows have seen cannot be told from their last day: the file may be younger.
    """
    products = (prod(split.ratio for split in splits[number:]) for number in range(len(splits) + 1))
    return any(isclose(ratio * product, 1, rel_tol=SAME_RATIO) for product in products)


def check_splits_applied(answer: Answer, last: date) -> None:
    """Raises HeldError for a split after `last` that Yahoo lists but has not divided the earlier prices by."""
    days = sorted(answer.bars)
    for split in answer.splits:
        before = [day for day in days if day < split.day]
        if split.day <= last or split.day not in answer.bars or not before or abs(log(split.ratio)) < PLAIN_SPLIT:
            continue
        earlier, later = answer.bars[before[-1]].close, answer.bars[split.day].close
        if earlier <= 0 or later <= 0:
            continue
        jump = log(earlier / later)
        if abs(jump - log(split.ratio)) < abs(jump):
            raise HeldError(f"earlier prices are not divided by the split of {split.day}, {split.ratio:g}")


def describe_change(file: BarFile, whole: Answer, compared: list[date], lost: int) -> str:
    """How the past has changed, for example "Close x0.25, Adj Close x0.2493; 1 of our days gone"."""
    closes = [(whole.bars[day].close, file.bars[day].close) for day in compared]
    adjusted = [(whole.bars[day].adj_close, file.bars[day].adj_close) for day in compared]
    gone = f"; {lost} of our days gone" if lost else ""
    return f"Close x{find_ratio(closes):.6g}, Adj Close x{find_ratio(adjusted):.6g}{gone}"


def find_ratio(pairs: list[tuple[float, float]]) -> float:
    """The median of new to old; 1 where all the old ones are 0."""
    return median([new / old for new, old in pairs if old] or [1.0])
