"""Drift: how far the data just published lie from those that the model before was trained on.

The measure is the population stability index over the deciles of the older data, and a share is a distribution over
two bins: the sum of (new - old) ln(new / old). Conventionally below 0.1 is no shift, from 0.25 on a strong one
(N. Siddiqi, Credit Risk Scorecards, 2006).

Data are remembered as a profile, <run>/profiles/<id of the features>.json: counts in fine bins, which any later data
can be compared with without reading the older data again.
"""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import date
from typing import Any, NotRequired, TypedDict, TypeGuard

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from pipeline.datasets.leftovers import list_entries, list_versions
from pipeline.datasets.places import Place, read_table, write_whole
from pipeline.datasets.run_folder import RunFolder
from pipeline.datasets.store import Version
from pipeline.errors import InputError
from pipeline.reports.damage import note_damage

HOME = "profiles"
READERS = 2  # threads that count, a part each
MODERATE, STRONG = 0.1, 0.25
TENTHS = np.arange(1, 10) / 10
LEAST_ROWS = 300  # of which the index of equal distributions is below 0.05
LEAST_SHARE = 1e-4  # what an empty bin counts as: its logarithm must be finite
# A bin is a number's sign, exponent and first five binary digits after the leading one, as float32 has them: 32 bins
# an octave, found without a logarithm. Zero and less share the first.
KEPT_BITS, BINS = 18, 2**13
FLOAT32_MAX = float(np.finfo(np.float32).max)
LEVELS = ("vol_moving_avg", "adj_close_rolling_med")
TARGET = "Volume / vol_moving_avg"
FLAGGED, REFUSED = "share of flagged rows", "share of quarantined rows"
Counts = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.float64]


class Profile(TypedDict):
    """Data in counts: see make_profile. model: id of the model that was trained on them, if they are a reference."""

    counts: dict[str, dict[str, int]]
    shares: dict[str, list[int]]
    last_day: str | None
    model: NotRequired[str]


class Measure(TypedDict):
    """One feature, the target or a share: its median, or the share itself, then and now; shift is "none", "moderate"
    or "strong".
    """

    what: str
    then: float
    now: float
    psi: float
    shift: str


class Drift(TypedDict):
    """What became of the data since the model of that id. damage: why there are no measures."""

    model: str
    measures: list[Measure]
    damage: NotRequired[str]


def read_reference(run: RunFolder) -> Profile | None:
    """The profile of the data that the current model was trained on; None without a model, or if nobody noted it."""
    with note_damage([], "The current data"):  # what is damaged is told after the run, if it still is
        profile_current(run)  # notebooks run by hand publish without noting anything
    with note_damage([], "The current model"):
        model = run.current("model")
        if profile := read_profile(locate(run, model.manifest["inputs"]["features"])):
            return {**profile, "model": model.id}
    return None


def find_drift(run: RunFolder, reference: Profile | None) -> Drift | None:
    """How far the current data lie from the reference. None where there is nothing to compare."""
    damage: list[str] = []
    with note_damage(damage, "The current data"):
        return compare_current(run, reference)
    return {"model": reference["model"] if reference else "", "measures": [], "damage": " ".join(damage)}


def compare_current(run: RunFolder, reference: Profile | None) -> Drift | None:
    current = profile_current(run)
    if reference is None or current is None:
        return None
    measures = measure_drift(reference, current)
    last = reference["last_day"]
    if last and (current["last_day"] or "") > last:
        measures += measure_new_days(reference, last, run.current("features"))
    return {"model": reference["model"], "measures": measures}


def profile_current(run: RunFolder) -> Profile | None:
    """The profile of the current data: made and noted at the first call, read at later ones.

    None while the features are not of the current prices, as after a run of ingest alone.
    """
    try:
        features, prices, symbols = (run.current(name) for name in ("features", "prices", "symbols"))
    except InputError:
        return None
    if features.manifest["inputs"].get("prices") != prices.id:
        return None
    path = locate(run, features.id)
    if profile := read_profile(path):
        return profile
    profile = make_profile(features, symbols)
    write_whole(path, json.dumps(profile) + "\n")
    return profile


def locate(run: RunFolder, features_id: str) -> Place:
    return run.path / HOME / f"{features_id}.json"


def read_profile(path: Place) -> Profile | None:
    """A profile as it was noted; None if it is absent, damaged, or as another version of this module wrote it."""
    with suppress(OSError, ValueError, RecursionError):
        profile = json.loads(path.read_bytes())
        return profile if is_profile(profile) else None
    return None


def is_profile(found: Any) -> TypeGuard[Profile]:
    """Whether what a file holds is a profile: then it can be compared with itself."""
    with suppress(ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        measure_drift(found, found)
        last = found["last_day"]
        whole = found["counts"].keys() == {*LEVELS, TARGET} and found["shares"].keys() == {FLAGGED, REFUSED}
        return whole and (last is None or date.fromisoformat(last) is not None)
    return False


def make_profile(features: Version, symbols: Version) -> Profile:
    """{"counts": {column: {bin: rows}}, "shares": {name: [rows, of rows]}, "last_day": of all, YYYY-MM-DD or None}."""
    sums = ("data_rows", "rows", "refused", "flagged")
    ledger = read_table(symbols.files, columns=[*sums, "last_date"])
    rows = {name: pc.sum(ledger[name]).as_py() or 0 for name in sums}
    last = pc.max(ledger["last_date"]).as_py()
    return {
        "counts": {
            name: {str(place): int(found[place]) for place in np.flatnonzero(found)}
            for name, found in count_values(features).items()
        },
        "shares": {FLAGGED: [rows["flagged"], rows["rows"]], REFUSED: [rows["refused"], rows["data_rows"]]},
        "last_day": last and last.isoformat(),
    }


def count_values(features: Version, after: date | None = None) -> dict[str, Counts]:
    """How many values of each feature and of the target are in each bin, int64[BINS]; a few parts at a time, so in
    little memory. after: only of later days.
    """

    def count_part(part: Place) -> dict[str, Counts]:
        return {name: np.bincount(find_bins(values), minlength=BINS) for name, values in read_columns(part, after)}

    counts = {name: np.zeros(BINS, dtype=np.int64) for name in (*LEVELS, TARGET)}
    with ThreadPoolExecutor(READERS) as pool:
        for counted in pool.map(count_part, features.files):
            for name, found in counted.items():
                counts[name] += found
    return counts


def read_columns(part: Place, after: date | None) -> Iterator[tuple[str, Numbers]]:
    """Name and values, float64, of the features and the target in one part, rows without a value left out."""
    later = after and [("Date", ">", after)]
    table = read_table(part, ["Volume", *LEVELS], filters=later, use_threads=False)
    columns = {name: table[name].to_numpy() for name in table.column_names}
    for name in LEVELS:
        yield name, columns[name][~np.isnan(columns[name])]
    mean = columns[LEVELS[0]]
    traded = mean > 0
    yield TARGET, columns["Volume"][traded] / mean[traded]


def find_bins(values: Numbers) -> npt.NDArray[np.int32]:
    """The bin of each value, int32[n] in [0, BINS)."""
    within = np.clip(values, 0, FLOAT32_MAX).astype(np.float32) + np.float32(0)  # which makes 0 of -0
    bins: npt.NDArray[np.int32] = within.view(np.int32) >> KEPT_BITS
    return bins


def measure_drift(reference: Profile, current: Profile) -> list[Measure]:
    """A row for each feature, the target and the shares."""
    rows = [
        describe_counts(what, *(spread(profile["counts"][what]) for profile in (reference, current)))
        for what in current["counts"]
    ]
    for what in current["shares"]:
        then, now = (count / max(of, 1) for count, of in (reference["shares"][what], current["shares"][what]))
        psi = stability_index(np.array([then, 1 - then]), np.array([now, 1 - now]))
        rows.append(describe(what, then, now, psi))
    return rows


def measure_new_days(reference: Profile, last: str, features: Version) -> list[Measure]:
    """The same for the target of the days after the `last` of the older data, which would drown among all days.

    Not for the features: their levels grow over the years without any harm. Nothing where the days are few.
    """
    old = spread(reference["counts"][TARGET])
    new = count_values(features, date.fromisoformat(last))[TARGET]
    return [describe_counts(f"{TARGET} after {last}", old, new)] if new.sum() >= LEAST_ROWS else []


def describe_counts(what: str, old: Counts, new: Counts) -> Measure:
    return describe(what, find_median(old), find_median(new), compare_counts(old, new))


def describe(what: str, then: float, now: float, psi: float) -> Measure:
    shift = "strong" if psi >= STRONG else "moderate" if psi >= MODERATE else "none"
    return {"what": what, "then": then, "now": now, "psi": round(psi, 4), "shift": shift}


def spread(counts: dict[str, int]) -> Counts:
    """The counts of all bins, int64[BINS], from a profile's."""
    found = np.zeros(BINS, dtype=np.int64)
    for place, count in counts.items():
        found[int(place)] = count
    return found


def find_median(counts: Counts) -> float:
    """The middle of the bin in which the median lies, three digits of it; 0 where it is zero or less."""
    place = int(np.searchsorted(np.cumsum(counts), counts.sum() / 2))
    middle = np.array((place << KEPT_BITS) + (1 << KEPT_BITS - 1), dtype=np.int32).view(np.float32)
    return float(f"{middle:.3g}") if place else 0.0


def compare_counts(old: Counts, new: Counts) -> float:
    """The index over the deciles of the older counts. old, new: int64[BINS]."""
    edges = np.unique(np.searchsorted(np.cumsum(old), TENTHS * old.sum()))
    tenth = np.searchsorted(edges, np.arange(BINS))
    then, now = (
        np.bincount(tenth, weights=counts, minlength=len(edges) + 1) / max(counts.sum(), 1) for counts in (old, new)
    )
    return stability_index(then, now)


def stability_index(old: Numbers, new: Numbers) -> float:
    """The population stability index of two lists of shares, float64[k] each."""
    old, new = np.maximum(old, LEAST_SHARE), np.maximum(new, LEAST_SHARE)
    return float(((new - old) * np.log(new / old)).sum())


def tell_drift(drift: Drift) -> str:
    """What find_drift found, in one line that can stand alone."""
    if "damage" in drift:
        return f"drift cannot be told: {drift['damage']}"
    measures = drift["measures"]
    shifted = sorted((row for row in measures if row["shift"] != "none"), key=lambda row: -row["psi"])
    if not shifted:
        largest = max(measures, key=lambda row: row["psi"])
        return f"no drift since the previous model (largest index {largest['psi']:.2f}, {largest['what']})"
    told = ", ".join(f"{row['what']} ({row['shift']}, index {row['psi']:.2f})" for row in shifted)
    return f"drift since the previous model in {told}"


def prune_profiles(run: RunFolder) -> None:
    """Remove the profiles of data on which no kept model was trained and that are not current."""
    models = [Version("model", path) for path in list_versions(run.path / "model")]
    kept = {model.manifest["inputs"].get("features") for model in models}
    if features := run.find("features"):
        kept.add(features.id)
    for path in list_entries(run.path / HOME):
        if path.stem not in kept:
            path.unlink()
