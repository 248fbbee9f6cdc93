"""A small real bundle, published as the pipeline publishes it."""

import hashlib
import json
from datetime import date, timedelta
from pathlib import Path

from serving.bundle import write_bundle

EDGES = {"vol_moving_avg": [1e4, 1e6], "adj_close_rolling_med": [10.0]}
FACTS = {
    "ranges": {"vol_moving_avg": [100.0, 1e9], "adj_close_rolling_med": [0.5, 900.0]},
    "trained": ["2000-01-03", "2009-12-31"],
    "data_version": "data",
    "champion": "grid",
    "interval": 0.8,
}
INTERVAL = {"edges": EDGES, "low": [[0.4, 0.5]] * 3, "high": [[1.7, 1.6]] * 3}
LEVELS = [round(0.05 * number, 2) for number in range(1, 20)]
SPREAD = {
    "quantiles": {"edges": EDGES, "levels": LEVELS, "ratios": [[[2 * level, level + 0.4]] * 3 for level in LEVELS]},
    "mean": {"edges": EDGES, "ratios": [[1.1, 1.2]] * 3},
}
QUESTIONS = [
    {"vol_moving_avg": volume, "adj_close_rolling_med": price}
    for volume in (0.0, 9_999.0, 1e4, 1_234_567.0, 1e12)
    for price in (-5.0, 9.99, 10.0, 5e3)
]
SCORES = {"naive": {"mae": 475_456.0}, "grid": {"mae": 455_627.0}, "linear": {"mae": 491_860.0}}


def publish_model(run_dir: Path, name: str, ratio: float = 0.9, spread: dict | None = SPREAD) -> Path:
    """Publish a grid model that answers about ratio * vol_moving_avg, and forecasts of three symbols."""
    folder = run_dir / "model" / name
    folder.mkdir(parents=True)
    point = {"kind": "grid", "edges": EDGES, "ratio": [[ratio, ratio + 0.02]] * 3}
    facts = write_bundle(folder, point, INTERVAL, QUESTIONS, FACTS, spread)
    (folder / "metrics.json").write_text(
        json.dumps({"same_day": {"champion": "grid", "test_from": "2010-01-01", "coverage": 0.8, "models": SCORES}})
    )
    lines = [
        json.dumps(describe_symbol(symbol, company, bool(spread)))
        for symbol, company in [("AAPL", "Apple Inc."), ("^GSPC", None)]
    ]
    (folder / "symbols.jsonl").write_text("\n".join(lines) + "\n")
    files = list_files(folder)
    write_manifest(folder, {"rows": 0, "files": files, "parameters": {}, "inputs": {"features": "0"}, "model": facts})
    make_current(run_dir, name)
    return folder


def list_files(folder: Path) -> list[dict]:
    """The entries of a manifest for all files beside it."""
    contents = {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.name != "manifest.json"}
    return [
        {"name": name, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for name, content in contents.items()
    ]


def write_manifest(folder: Path, manifest: dict) -> None:
    """As the store does it: the version is the hash of the rest."""
    rest = {name: value for name, value in manifest.items() if name != "version"}
    version = hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()[:16]
    (folder / "manifest.json").write_text(json.dumps({**rest, "version": version}))


def read_version(folder: Path) -> str:
    return json.loads((folder / "manifest.json").read_text())["version"]


def make_current(run_dir: Path, name: str) -> None:
    (run_dir / "model" / "NEXT").write_text(name)
    (run_dir / "model" / "NEXT").replace(run_dir / "model" / "CURRENT")


def describe_symbol(symbol: str, name: str | None, spread: bool = True) -> dict:
    days = [str(date(2013, 1, 2) + timedelta(days=day)) for day in range(66)]
    volumes = [1_000_000 + (day * 7_919 % 66) * 12_000 for day in range(66)]
    means = [None] * 5 + [1_390_000 + day * 900 for day in range(61)]
    quantiles = {str(level): round(3_000_000 * level) for level in LEVELS}
    return {
        **({"quantiles": quantiles, "mean": 1_600_000} if spread else {}),
        "symbol": symbol, "name": name, "kind": "stock", "last_date": days[-1], "date": "2013-03-11",
        "volume": 1_500_000, "low": 900_000, "high": 2_300_000, "model": "naive", "features": {"mean_5": 1.4e6},
        "recent": {"dates": days, "volume": volumes, "vol_moving_avg": means},
        "vol_moving_avg": 1_444_000.0, "adj_close_rolling_med": 60.0,
    }  # fmt: skip
