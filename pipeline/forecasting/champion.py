"""The champion of a comparison: a model wins by more than chance, or because it knows more about a row.

Two models' errors on the same days differ by luck as well. So whole weeks are drawn again and again (a bootstrap of
blocks: the days of a week resemble each other), and a model counts as beaten only if the best one is better in nearly
all draws.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

DRAWS, SEED = 2_000, 5
CHANCE = 0.025  # of the draws in which a model that counts as beaten may be better than the best
CONSTANTS = ("naive", "naive_scaled")  # forecasts that know one number about a row; all others know more
PLAIN = "grid"  # a table that a person can read


@dataclass(frozen=True)
class Choice:
    """champion: who is published. best: who has the smallest error. alike: whom it beats by no more than chance."""

    champion: str
    best: str
    alike: tuple[str, ...]

    def explain(self) -> str:
        """The choice in a sentence."""
        if not self.alike:
            return f"{self.best} wins by more than chance"
        told = f"{self.best} has the smallest error, but by no more than chance against {', '.join(self.alike)}"
        return f"{told}; of all of them {self.champion} is taken"


def choose_champion(errors: Mapping[str, np.ndarray]) -> Choice:
    """The champion among forecasts whose errors are known by block of time.

    errors: name -> float64[blocks], sums of absolute errors on the same rows. Of the best and those that it beats by no
    more than chance, the grid goes first, which a person can read; then the others that know more than one number about
    a row; of these the one with the smaller error.
    """
    totals = {name: float(sums.sum()) for name, sums in errors.items()}
    best = min(totals, key=lambda name: totals[name])
    blocks = len(errors[best])
    draws = np.random.default_rng(SEED).multinomial(blocks, np.full(blocks, 1 / blocks), DRAWS)
    alike = tuple(
        name for name, sums in errors.items() if name != best and (draws @ (sums - errors[best]) <= 0).mean() > CHANCE
    )
    champion = min((best, *alike), key=lambda name: (name in CONSTANTS, name != PLAIN, totals[name]))
    return Choice(champion, best, alike)
