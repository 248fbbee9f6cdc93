"""One symbol brought up to date: read its file, ask Yahoo, judge the answer, write."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

from pipeline.datasets.places import Place
from pipeline.ingest.delivery import FOLDERS
from pipeline.reports.skill import tell_count
from pipeline.update import judgement
from pipeline.update.bars import Answer, BarFile, UnusableFileError, format_bars
from pipeline.update.folder import MarketFolder
from pipeline.update.judgement import HeldError
from pipeline.update.ledger import Entry

if TYPE_CHECKING:
    from pipeline.update.yahoo import Yahoo

STOCKS, ETFS = FOLDERS
LONG = timedelta(days=365)  # after which nearly every symbol has paid a dividend: its past is asked for at once
OLDEST = date(1927, 1, 1)  # Yahoo's first prices, those of the S&P 500, are of the end of this year


@dataclass(frozen=True)
class Task:
    """A symbol to ask for. spelling: Yahoo's. files: its CSVs. folder: where a new one goes, None if only Yahoo knows.

    before: what the ledger knows of it.
    """

    symbol: str
    spelling: str
    files: tuple[Place, ...]
    folder: str | None
    before: Entry


@dataclass(frozen=True)
class Outcome:
    """What became of a task. state: a key of ledger.STATES. whole: whether all rows were asked for."""

    state: str
    through: date | None
    rows: int
    added: int = 0
    revised: int = 0
    note: str = ""
    whole: bool = False


def update_symbol(task: Task, folder: MarketFolder, yahoo: "Yahoo", final: date, full: bool) -> Outcome:
    """Ask for a symbol and write what there is to write. full: for all of its rows.

    Raises what Yahoo.ask raises; the file then is as it was.
    """
    file = BarFile([])
    whole = False
    try:
        if len(task.files) > 1:
            raise HeldError(f"there are two files, in {' and '.join(path.parent.name for path in task.files)}")
        if task.files:
            file = read_file(task.files[0], folder)
            if len(file.lines) > 1 and not file.bars:
                raise HeldError("no row of the file can be read")
        last = file.last_day
        if last is None:
            return write_new(task, folder, yahoo.ask(task.spelling, OLDEST, final))
        if last >= final and not full:
            return Outcome("current", last, len(file.bars))
        if not full and final - last < LONG:
            answer = yahoo.ask(task.spelling, judgement.find_overlap(file), final)
            common = judgement.check_identity(file, answer, task.spelling)
            if judgement.is_same_basis(file, answer, common):
                return write_changes(task, folder, file, answer, final)
        whole = True
        return write_whole(task, folder, file, yahoo.ask(task.spelling, OLDEST, final), final)
    except (HeldError, UnusableFileError) as error:
        return Outcome("held", file.last_day, len(file.bars), note=str(error), whole=whole)


def read_file(path: Place, folder: MarketFolder) -> BarFile:
    """Raises UnusableFileError, also for a dead link or a folder of that name."""
    try:
        data = folder.read(path)
    except OSError as error:
        raise UnusableFileError(f"the file cannot be read: {error.strerror}") from error
    if data is None:
        raise UnusableFileError("the file cannot be read: it is not there")
    return BarFile.parse(data)


def write_new(task: Task, folder: MarketFolder, answer: Answer) -> Outcome:
    """The first rows of a symbol, into the folder of its kind."""
    if answer.symbol.upper() != task.spelling.upper():
        raise HeldError(f"asked for {task.spelling}, Yahoo answers for {answer.symbol}: renamed?")
    if not answer.bars:
        return Outcome("behind", None, 0, note="no finished day yet", whole=True)
    kind = task.folder or (STOCKS if answer.kind == "EQUITY" else ETFS)
    path = task.files[0] if task.files else folder.root / kind / f"{task.symbol}.csv"
    folder.replace(path, format_bars(answer.bars))
    rows = len(answer.bars)
    return Outcome("new", max(answer.bars), rows, rows, note=f"since {min(answer.bars)}", whole=True)


def write_changes(task: Task, folder: MarketFolder, file: BarFile, answer: Answer, final: date) -> Outcome:
    """New rows, and those that Yahoo has changed, into a file whose basis is still Yahoo's."""
    judgement.check_splits_applied(answer, max(file.bars))
    added, revised = judgement.find_changes(file, answer)
    if added or revised:
        file.put(added | revised)
        folder.replace(task.files[0], file.format())
    return describe(file, answer, final, "appended" if added else "current", len(added), len(revised), False)


def write_whole(task: Task, folder: MarketFolder, file: BarFile, whole: Answer, final: date) -> Outcome:
    """All of Yahoo's rows in place of ours."""
    note = judgement.check_whole(file, whole, task.spelling)
    common = file.bars.keys() & whole.bars.keys()
    restated = not judgement.is_same_basis(file, whole, common)
    added = len(whole.bars.keys() - file.bars.keys())
    data = format_bars(whole.bars)
    if data != file.format():
        folder.replace(task.files[0], data)
    state = "restated" if restated else "appended" if added else "current"
    return describe(BarFile.parse(data), whole, final, state, added, 0, True, note if restated else "")


def describe(
    file: BarFile, answer: Answer, final: date, state: str, added: int, revised: int, whole: bool, *notes: str
) -> Outcome:
    """The outcome of a symbol that was written, or needed not be. notes: of which the empty ones are left out."""
    last = max(file.bars)
    told = [note for note in notes if note]
    if last < final:
        state = "behind"
        told.append(f"no whole row after {last}")
    blank = sum(min(file.bars) < day < last for day in answer.incomplete - file.bars.keys())
    if blank:
        told.append(f"{tell_count(blank, 'day')} with blanks left out")
    if revised:
        told.append(f"{tell_count(revised, 'row')} revised")
    return Outcome(state, last, len(file.bars), added, revised, "; ".join(told), whole)
