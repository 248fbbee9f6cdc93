"""The run before, with which a report compares."""

import json
from typing import Any

from pipeline.datasets.places import Place
from pipeline.reports.scores import sift_scores


def find_previous(folder: Place) -> tuple[dict[str, Any] | None, list[str]]:
    """What run.json holds of the last run before this one that went well, and a sentence for whatever was damaged on
    the way to it. folder: where the records of this run belong.
    """
    damage: list[str] = []
    home = folder.parent
    names = sorted((path.name for path in home.iterdir()), reverse=True) if home.is_dir() else []
    for path in (home / name / "run.json" for name in names if name != folder.name):
        try:
            run = json.loads(path.read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            continue
        except (OSError, ValueError, RecursionError) as error:
            damage.append(f"{path} cannot be read ({error}): that run is not compared with.")
            continue
        if not isinstance(run, dict) or "exit_code" not in run:
            damage.append(f"{path} is no record of a run: that run is not compared with.")
        elif run["exit_code"] == 0:
            scores, faults = sift_scores(run.get("metrics", {}), path)
            return run | {"metrics": scores}, damage + faults
    return None, damage
