"""Whether two pictures show the same: nbval compares what notebooks print, and of a plot sees only that there is one.

Both are made small and grey, and what moved by one small cell counts as unmoved. So another release of the plotting
library, which draws an edge a little darker, makes no difference, and a curve that runs elsewhere does.
"""

import base64
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

SIZE = (160, 100)  # cells: each the mean of some dozens of pixels
CHANGED = 0.14  # of the way from black to white: a cell that differs by more is another one
MOST_CHANGED = 0.003  # share of the cells
MOST_STRETCH = 0.02  # of the ratio of the sides


def find_difference(shown: bytes, stored: bytes) -> str | None:
    """How two PNGs differ, as a sentence; None where they show the same."""
    one, other = (Image.open(io.BytesIO(data)).convert("L") for data in (shown, stored))
    if abs(one.width / one.height / (other.width / other.height) - 1) > MOST_STRETCH:
        return f"the plot has {one.width} by {one.height} pixels, the stored one {other.width} by {other.height}"
    small = [np.asarray(picture.resize(SIZE, Image.Resampling.BOX), np.float64) / 255 for picture in (one, other)]
    changed = lacks(small[0], small[1]) | lacks(small[1], small[0])
    if changed.mean() <= MOST_CHANGED:
        return None
    row, column = (int(np.median(places)) for places in np.nonzero(changed))
    where = f"around {column / SIZE[0]:.0%} from the left and {row / SIZE[1]:.0%} from the top"
    return f"{changed.mean():.1%} of the plot differ from the stored one, {where}; alike are up to {MOST_CHANGED:.1%}"


def lacks(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Whether `other` has nothing like a cell of `one` there or beside it. float64[rows, columns] each."""
    around = np.lib.stride_tricks.sliding_window_view(np.pad(other, 1, mode="edge"), (3, 3))
    nearest: np.ndarray = np.abs(around - one[..., None, None]).min(axis=(2, 3))
    return nearest > CHANGED


def list_pictures(outputs: Sequence[dict[str, Any]]) -> list[bytes]:
    """The PNGs among a cell's outputs."""
    found = (output.get("data", {}).get("image/png") for output in outputs)
    return [base64.b64decode(text) for text in found if text]


def compare_pictures(cell: Any) -> None:
    """Have a cell of nbval compare its plots as well, unless it is tagged `varies`, as a plot of times is."""
    if "varies" in cell.cell.metadata.get("tags", []):
        return
    compare_text = cell.compare_outputs

    def compare(shown: Sequence[dict[str, Any]], stored: Sequence[dict[str, Any]], *rest: Any) -> bool:
        if not compare_text(shown, stored, *rest):
            return False
        pairs = zip(list_pictures(shown), list_pictures(stored), strict=True)
        cell.comparison_traceback += [told for pair in pairs if (told := find_difference(*pair))]
        return not cell.comparison_traceback

    cell.compare_outputs = compare
