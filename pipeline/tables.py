"""One look for the notebooks' tables: numbers with separators, text at the left, a sentence where there is no row."""

from zlib import crc32

import pandas as pd

LEFT = "text-align: left"


class Table:
    """A frame as a notebook shows it. The text is for terminals and for the comparison with stored outputs."""

    def __init__(self, frame: pd.DataFrame, digits: int, empty: str) -> None:
        self.frame, self.digits, self.empty = frame, digits, empty

    def __repr__(self) -> str:
        if self.frame.empty:
            return self.empty
        shown = self.frame.map(self.write)
        for name in self.list_text():
            words = shown[name].astype(str)
            shown[name] = words.str.ljust(int(words.str.len().max()))
        return shown.to_string(justify="left")

    def _repr_html_(self) -> str:
        if self.frame.empty:
            return f"<p>{self.empty}</p>"
        styler = self.frame.style.format(self.write, escape="html").set_uuid(f"{crc32(repr(self).encode()):x}")
        columns = (f".col{self.frame.columns.get_loc(name)}" for name in self.list_text())
        left = [".row_heading", *columns]
        return str(styler.set_table_styles([{"selector": place, "props": LEFT} for place in left]).to_html())

    def list_text(self) -> list[str]:
        """The columns that hold no numbers."""
        return [name for name in self.frame.columns if not pd.api.types.is_numeric_dtype(self.frame[name])]

    def write(self, value: object) -> str:
        """A number as a person reads it; anything else as it is, and nothing for what is not known."""
        if pd.api.types.is_bool(value):
            return "yes" if value else "no"
        if pd.api.types.is_integer(value):
            return f"{value:,}"
        if pd.api.types.is_float(value):
            return "" if pd.isna(value) else f"{value:,.{self.digits}f}"
        return "" if value is None else str(value)


def show(frame: pd.DataFrame, digits: int = 2, empty: str = "none") -> Table:
    """The frame as the last line of a cell. digits: of numbers that are not whole; empty: said where it has no row."""
    return Table(frame, digits, empty)
