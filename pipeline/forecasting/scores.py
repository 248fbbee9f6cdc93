"""Scores as sums: what is added up over rows says how good forecasts are, so no process has to hold the rows.

A task adds up the rows of a part (see `add_up`), the driver adds the parts, and `Sums.score` makes scores of the
result. Sums of floating-point numbers depend on their order. So a part is always added up in the order of its rows,
and parts in theirs, which come from the input alone: the scores are the same for any number of cores or machines.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pipeline.forecasting.evaluation import as_served, round_digits

# Of each forecast, over the rows where it is known:
MEASURES = (
    "rows",
    "volume",  # of Volume
    "volume_square",
    "error",  # of absolute errors, in shares
    "square",  # of squared errors
    "log_square",  # of squared errors of log(1 + Volume)
    "naive_error",  # the naive forecast's `error` on the same rows
    "naive_log_square",
    "bounded",  # rows with an interval
    "inside",  # rows whose Volume lies in it, bounds among it
    "width",  # of log(1 + high) - log(1 + low)
    "pinball",  # of the pinball losses of both bounds, in log(1 + Volume)
)
PLACES = {name: place for place, name in enumerate(MEASURES)}
TAIL = 0.1  # of the days shall lie below an interval, and as many above
ROUNDING = 1e-9  # of the sum of squares: a spread below that is none
NAIVE = "naive"


@dataclass(frozen=True)
class Sums:
    """The sums of each forecast in each group of rows: name -> float64[groups, len(MEASURES)]."""

    of: Mapping[str, np.ndarray]

    def __add__(self, other: "Sums") -> "Sums":
        """The sums of both parts' rows, of the same forecasts."""
        return Sums({name: sums + other.of[name] for name, sums in self.of.items()})

    def pool(self, members: np.ndarray | None = None) -> "Sums":
        """The sums of groups of groups. members: int64[groups], the new number of each, -1 to leave it out; None for
        all in one.
        """
        return Sums({name: pool_groups(sums, members) for name, sums in self.of.items()})

    def list(self, measure: str, name: str) -> np.ndarray:
        """One of MEASURES of a forecast in all groups. float64[groups]."""
        return self.of[name][:, PLACES[measure]]

    def score(self, group: int = 0) -> dict[str, dict[str, float]]:
        """The scores of each forecast in a group, see `make_scores`; one that is known nowhere in it is left out."""
        found = {name: make_scores(dict(zip(MEASURES, sums[group], strict=True))) for name, sums in self.of.items()}
        return {name: scores for name, scores in found.items() if scores["rows"]}

    def pack(self) -> bytes:
        """The numbers alone, forecast after forecast, on their way from a task; see `unpack_sums`."""
        return np.stack(list(self.of.values())).tobytes()


def unpack_sums(data: bytes, names: list[str]) -> Sums:
    """The sums that `Sums.pack` packed, of the forecasts `names`, in order."""
    numbers = np.frombuffer(data, np.float64).reshape(len(names), -1, len(MEASURES))
    return Sums(dict(zip(names, numbers, strict=True)))


def pool_groups(sums: np.ndarray, members: np.ndarray | None) -> np.ndarray:
    """float64[groups, measures] to float64[groups of groups, measures]; see Sums.pool."""
    members = np.zeros(len(sums), np.int64) if members is None else members
    pooled = np.zeros((max(members, default=-1) + 1, sums.shape[1]))
    np.add.at(pooled, members[members >= 0], sums[members >= 0])
    return pooled


def add_up(
    volume: np.ndarray,
    forecasts: Mapping[str, np.ndarray],
    groups: np.ndarray | None = None,
    size: int = 1,
    bounds: Mapping[str, tuple[np.ndarray, np.ndarray]] | None = None,
) -> Sums:
    """The sums of these rows, of all forecasts as they are served: whole shares, never negative.

    volume: float64[n], whole shares. forecasts: name -> float64[n], "naive" among them, NaN where unknown. groups:
    int64[n], the number of each row's group, 0 to size - 1, or -1 for a row that does not count; None for one group.
    bounds: name -> low and high, float64[n] each, of the forecasts that have an interval.
    """
    groups = np.zeros(len(volume), np.int64) if groups is None else groups
    common, logs = measure_rows(volume, as_served(forecasts[NAIVE])), np.log1p(volume)
    sums = {}
    for name, forecast in forecasts.items():
        columns = common | measure_errors(volume, as_served(forecast), logs)
        if bounds and name in bounds:
            low, high = bounds[name]
            columns |= measure_bounds(volume, as_served(low), as_served(high), logs)
        place = np.where((groups >= 0) & ~np.isnan(forecast), groups, size)  # behind the groups: rows that do not count
        sums[name] = np.zeros((size, len(MEASURES)))
        for measure, column in columns.items():
            sums[name][:, PLACES[measure]] = np.bincount(place, column, minlength=size + 1)[:size]
    return Sums(sums)


def measure_rows(volume: np.ndarray, naive: np.ndarray) -> dict[str, np.ndarray | None]:
    """What each row adds to the MEASURES of all forecasts; None where it is 1. float64[n] each."""
    return {
        "rows": None,
        "volume": volume,
        "volume_square": np.square(volume),
        "naive_error": np.abs(naive - volume),
        "naive_log_square": np.square(np.log1p(naive) - np.log1p(volume)),
    }


def measure_errors(volume: np.ndarray, served: np.ndarray, logs: np.ndarray) -> dict[str, np.ndarray | None]:
    """What each row adds to the MEASURES of a forecast. logs: of 1 + volume. float64[n] each."""
    error = served - volume
    return {
        "error": np.abs(error),
        "square": np.square(error),
        "log_square": np.square(np.log1p(served) - logs),
    }


def measure_bounds(
    volume: np.ndarray, low: np.ndarray, high: np.ndarray, logs: np.ndarray
) -> dict[str, np.ndarray | None]:
    """What each row adds to the MEASURES of an interval; None where it is 1. float64[n] each."""
    below, above = np.log1p(low), np.log1p(high)
    losses = (
        np.maximum(level * (logs - bound), (level - 1) * (logs - bound))
        for level, bound in ((TAIL, below), (1 - TAIL, above))
    )
    return {
        "bounded": None,
        "inside": ((low <= volume) & (volume <= high)).astype(np.float64),
        "width": above - below,
        "pinball": sum(losses, np.zeros(len(volume))),
    }


def make_scores(sums: Mapping[str, float]) -> dict[str, float]:
    """The scores that the sums of a forecast make, rounded to seven digits.

    rows. mae, rmse: shares. r2: explained share of the squared deviation from the mean. wape: sum of absolute errors
    by sum of Volume. rmsle: root mean square error of log(1 + Volume). skill, log_skill: by which share the naive
    answer's absolute errors, and its squared errors of logs, are larger; 0 where it makes none. With an interval:
    coverage, the share of the days inside; width, the mean of log((1 + high) / (1 + low)); pinball, the mean loss of
    both bounds as quantiles of log(1 + Volume). Without a row only `rows`.
    """
    rows = sums["rows"]
    if not rows:
        return {"rows": 0}
    spread = sums["volume_square"] - sums["volume"] ** 2 / rows
    scores = {
        "mae": sums["error"] / rows,
        "rmse": np.sqrt(sums["square"] / rows),
        "r2": 1 - sums["square"] / spread if spread > ROUNDING * sums["volume_square"] else 0.0,
        "wape": sums["error"] / sums["volume"] if sums["volume"] else 0.0,
        "rmsle": np.sqrt(sums["log_square"] / rows),
        "skill": 1 - sums["error"] / sums["naive_error"] if sums["naive_error"] else 0.0,
        "log_skill": 1 - sums["log_square"] / sums["naive_log_square"] if sums["naive_log_square"] else 0.0,
    }
    if bounded := sums["bounded"]:
        scores |= {"coverage": sums["inside"] / bounded, "width": sums["width"] / bounded}
        scores |= {"pinball": sums["pinball"] / bounded}
    return {"rows": int(rows), **{name: round_digits(value) for name, value in scores.items()}}
