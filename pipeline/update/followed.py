"""Whom somebody follows: the symbols of a file, of a list, or those that a folder has files of."""

from pathlib import Path

from pipeline.datasets.places import open_place
from pipeline.errors import ParameterError
from pipeline.update.folder import MarketFolder
from pipeline.update.plan import is_symbol


def read_symbols(text: str, name: str) -> list[str]:
    """The symbols of a file, a line each, or of a list with commas. name: what the text was given by.

    Raises ParameterError for none.
    """
    path = Path(text).expanduser()
    try:
        is_file = "," not in text and path.is_file()
        words = path.read_text(encoding="utf-8-sig").splitlines() if is_file else text.split(",")
    except (OSError, UnicodeDecodeError) as error:
        raise ParameterError(f"{name} {text} cannot be read: {error}") from error
    symbols = [word.strip() for word in words if word.strip()]
    if not symbols:
        raise ParameterError(f"{name} {text} names no symbol: write one a line.")
    return symbols


def choose_symbols(text: str, source: str, data_dir: str) -> list[str]:
    """Whom a run follows by its parameters SYMBOLS, SOURCE and DATA_DIR: those that SYMBOLS names, else those that have
    a file. (All that NASDAQ lists is for the command: at a polite rate it takes hours.)

    Raises ParameterError where there is no such folder, or nobody to follow.
    """
    if source != "folder" or not data_dir:
        raise ParameterError("UPDATE keeps a folder current: give it as DATA_DIR, with SOURCE folder.")
    folder = MarketFolder(open_place(data_dir).expanduser())
    if text:
        return read_symbols(text, "SYMBOLS")
    filed = [symbol for symbol in folder.list_files({}) if is_symbol(symbol)]
    if not filed:
        raise ParameterError(
            f"UPDATE finds no symbol in {data_dir}: name some by SYMBOLS, for example AAPL,BRK.B,^GSPC, or begin with "
            f"the whole market: python -m pipeline.update --data-dir {data_dir}"
        )
    return sorted(filed)
