"""The track record: what the scores add up to, as small files in the model's bundle, for the server and the report.

track_record.json       the last 20, 60 and 250 sessions, and day by day; live forecasts and replayed ones apart
past_forecasts.jsonl    a line a symbol: its last forecasts against what came
"""

import json
from pathlib import Path
from typing import Any

import pandas as pd

FORMAT = 1
FILE, LINES = "track_record.json", "past_forecasts.jsonl"
WINDOWS = (20, 60, 250)  # sessions
SHOWN = 20  # sessions of a symbol
JUDGED = 60  # sessions, of which a live record must have the first 20 before it is judged
LEAST_COVERAGE, MOST_COVERAGE = 0.7, 0.9  # of an interval that promises 80%


def write_record(bundle: Path, scores: pd.DataFrame, damage: str = "") -> None:
    """Write both files into a bundle's folder. scores: as SCORES. damage: why they cannot be read, "" if they can."""
    kinds = {"live": scores[~scores["replay"].astype(bool)], "replay": scores[scores["replay"].astype(bool)]}
    record: dict[str, Any] = {"format": FORMAT}
    record |= {kind: summarize(rows) if len(rows) else None for kind, rows in kinds.items()}
    record["doubts"] = [damage] if damage else doubt(record["live"])
    (bundle / FILE).write_text(json.dumps(record, indent=1) + "\n")
    lines = list_symbols(kinds["live"]) if len(kinds["live"]) else {}
    if len(kinds["replay"]):
        lines = list_symbols(kinds["replay"]) | lines
    text = (json.dumps(lines[symbol], separators=(",", ":")) + "\n" for symbol in sorted(lines))
    (bundle / LINES).write_text("".join(text))


def summarize(scores: pd.DataFrame) -> dict[str, Any]:
    """Windows and days of scores of one kind, of which there are some."""
    days = sorted(scores["date"].unique())
    windows = {}
    for length in WINDOWS:
        chosen = days[-length:]
        rows = scores if len(chosen) == len(days) else scores[scores["date"] >= chosen[0]]
        windows[str(length)] = {"sessions": len(chosen), "from": str(chosen[0]), "to": str(chosen[-1]), **measure(rows)}
    recent = scores[scores["date"] >= days[-WINDOWS[-1] :][0]]
    by_day = [{"date": str(day), **measure(rows)} for day, rows in recent.groupby("date", sort=True)]
    return {"sessions": len(days), "windows": windows, "days": by_day}


def measure(scores: pd.DataFrame) -> dict[str, float | int]:
    """Mean absolute errors in shares, the skill against naive, and the share of days inside their interval."""
    error, naive = int(scores["error"].sum()), int(scores["naive_error"].sum())
    count = len(scores)
    return {
        "forecasts": count,
        "mae": round(error / count, 2),
        "naive_mae": round(naive / count, 2),
        "skill": round(1 - error / naive, 4) if naive else 0.0,
        "coverage": round(float(scores["inside"].mean()), 4),
    }


def doubt(live: dict[str, Any] | None) -> list[str]:
    """Why not to trust a model by its live record, as sentences. None before the first 20 sessions are scored."""
    if live is None or live["sessions"] < WINDOWS[0]:
        return []
    window = live["windows"][str(JUDGED)]
    told = f"over the last {window['sessions']} sessions"
    doubts = []
    if not LEAST_COVERAGE <= window["coverage"] <= MOST_COVERAGE:
        doubts.append(f"Live, {window['coverage']:.1%} of the days lay in their 80% interval {told}.")
    if window["skill"] < 0:
        doubts.append(f"Live, the forecasts were {-window['skill']:.1%} worse than the naive answer {told}.")
    return doubts


def list_symbols(scores: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Symbol -> its forecasts of the last SHOWN sessions that it has, oldest first, as columns."""
    recent = scores.sort_values(["symbol", "date"], kind="stable").groupby("symbol", sort=False).tail(SHOWN)
    names = ["volume", "low", "high", "naive", "actual"]
    found = {}
    for symbol, rows in recent.groupby("symbol", sort=False):
        columns = {name: rows[name].astype(int).tolist() for name in names}
        facts = {"symbol": symbol, "replay": bool(rows["replay"].iloc[0])}
        found[str(symbol)] = {**facts, "dates": rows["date"].astype(str).tolist(), **columns}
    return found
