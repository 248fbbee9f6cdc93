"""What all judging of forecasts shares: as they are served, with rounded scores, by decile and by year."""

import numpy as np

DECILES = 10


def as_served(predicted: np.ndarray) -> np.ndarray:
    """Whole shares, halves to the even number, nothing below 0."""
    served: np.ndarray = np.rint(np.maximum(predicted, 0.0))
    return served


def round_digits(value: float, digits: int = 7) -> float:
    """`value` to so many significant digits."""
    return float(f"{value:.{digits}g}")


def find_deciles(values: np.ndarray) -> np.ndarray:
    """The tenth, 1 to 10, that each value lies in; equal values share one. float64[n] to int64[n]."""
    edges = np.quantile(values, np.arange(1, DECILES) / DECILES)
    return 1 + np.searchsorted(edges, values, side="left")


def find_years(day: np.ndarray) -> np.ndarray:
    """The calendar year of each day since 1970-01-01. int64[n] each."""
    return day.astype("datetime64[D]").astype("datetime64[Y]").astype(np.int64) + 1970
