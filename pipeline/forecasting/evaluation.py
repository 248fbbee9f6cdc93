"""How good forecasts are: errors in shares and in proportion, overall and by group, against the naive answer."""

from collections.abc import Mapping

import numpy as np

DECILES = 10


def score(actual: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """Errors of a forecast, as it is served: never negative, in whole shares. float64[n] each.

    mae, rmse: shares. r2: explained share of the squared deviation from the mean. wape: sum of absolute errors by sum
    of Volume. rmsle: root mean square of log(1 + predicted) - log(1 + actual). Rounded to seven digits, which all
    machines agree on. n must be 1 or more.
    """
    predicted = as_served(predicted)
    error = predicted - actual
    spread = np.square(actual - actual.mean()).sum()
    scores = {
        "mae": np.abs(error).mean(),
        "rmse": np.sqrt(np.square(error).mean()),
        "r2": 1 - np.square(error).sum() / spread if spread else 0.0,
        "wape": np.abs(error).sum() / actual.sum() if actual.any() else 0.0,
        "rmsle": np.sqrt(np.square(np.log1p(predicted) - np.log1p(actual)).mean()),
    }
    return {name: round_digits(value) for name, value in scores.items()}


def score_models(
    actual: np.ndarray, forecasts: Mapping[str, np.ndarray], naive: str = "naive"
) -> dict[str, dict[str, float]]:
    """The scores of each forecast, its `skill` against `forecasts[naive]`, and `test_rows`. Unknown answers (NaN) do
    not count; a forecast that has no other is left out.
    """
    scores = {}
    for name, forecast in forecasts.items():
        known = ~np.isnan(forecast)
        if not known.any():
            continue
        skill = measure_skill(actual[known], forecast[known], forecasts[naive][known])
        scores[name] = {
            **score(actual[known], forecast[known]),
            "skill": round_digits(skill),
            "test_rows": int(known.sum()),
        }
    return scores


def as_served(predicted: np.ndarray) -> np.ndarray:
    """Whole shares, halves to the even number, nothing below 0."""
    served: np.ndarray = np.rint(np.maximum(predicted, 0.0))
    return served


def round_digits(value: float, digits: int = 7) -> float:
    """`value` to so many significant digits."""
    return float(f"{value:.{digits}g}")


def measure_skill(actual: np.ndarray, predicted: np.ndarray, naive: np.ndarray) -> float:
    """By which share of the naive answer's MAE the forecast is better; negative if it is worse.

    0 where naive makes no error that could be taken away, NaN where there is no row, or none is foreseen.
    """
    if not len(actual):
        return float("nan")
    naive_error = np.abs(as_served(naive) - actual).mean()
    return float(1 - np.abs(as_served(predicted) - actual).mean() / naive_error) if naive_error else 0.0


def find_deciles(values: np.ndarray) -> np.ndarray:
    """The tenth, 1 to 10, that each value lies in; equal values share one. float64[n] to int64[n]."""
    edges = np.quantile(values, np.arange(1, DECILES) / DECILES)
    return 1 + np.searchsorted(edges, values, side="left")


def measure_coverage(actual: np.ndarray, low: np.ndarray, high: np.ndarray) -> float:
    """The share of days whose Volume lies in its interval, bounds among it, as served. float64[n] each."""
    return float(((as_served(low) <= actual) & (actual <= as_served(high))).mean())


def find_years(day: np.ndarray) -> np.ndarray:
    """The calendar year of each day since 1970-01-01. int64[n] each."""
    return day.astype("datetime64[D]").astype("datetime64[Y]").astype(np.int64) + 1970
