"""Means, covariances and extremes of rows, part by part: all that least squares asks of them."""

from dataclasses import dataclass

import numpy as np

from pipeline.forecasting.market_rows import MarketRows

FEATURES = ["vol_moving_avg", "adj_close_rolling_med"]
COLUMNS = [*FEATURES, "Volume"]


@dataclass(frozen=True)
class Moments:
    """Of `rows` rows: mean, least, most: float64[3], of COLUMNS; comoments: float64[3, 3], sums of the products of two
    columns' deviations from their means.
    """

    rows: int
    mean: np.ndarray
    comoments: np.ndarray
    least: np.ndarray
    most: np.ndarray

    def __add__(self, other: "Moments") -> "Moments":
        """The moments of both parts' rows (Chan, Golub, LeVeque, "Updating formulae", 1979)."""
        rows = self.rows + other.rows
        apart = other.mean - self.mean
        share = other.rows / max(rows, 1)
        return Moments(
            rows,
            self.mean + share * apart,
            self.comoments + other.comoments + self.rows * share * np.outer(apart, apart),
            np.minimum(self.least, other.least),
            np.maximum(self.most, other.most),
        )


def measure_moments(rows: MarketRows) -> Moments:
    """The moments of rows at hand; without a row the least is infinite, the most is minus that, and all else is 0."""
    size = len(COLUMNS)
    if not len(rows):
        endless = np.full(size, np.inf)
        return Moments(0, np.zeros(size), np.zeros((size, size)), endless, -endless)
    table = np.stack([rows.vol_moving_avg, rows.adj_close_rolling_med, rows.volume])
    mean = table.mean(axis=1)
    apart = table - mean[:, None]
    comoments = np.array([[(one * other).sum() for other in apart] for one in apart])
    return Moments(len(rows), mean, comoments, table.min(axis=1), table.max(axis=1))
