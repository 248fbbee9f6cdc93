"""What is written about a training: metrics.json, its scores as a table, and a run in MLflow where one is set up."""

import json
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd

from pipeline.datasets.places import Place, bring_here
from pipeline.environment import set_variables
from pipeline.errors import ResourceError
from pipeline.reports.skill import tell_skill
from pipeline.urls import take_credentials

TRACKING = "MLFLOW_TRACKING_URI"
USER, PASSWORD = "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"
RETRIES = "MLFLOW_HTTP_REQUEST_MAX_RETRIES"
SERVING = Path(__file__).parents[2] / "serving"
EXPERIMENT = "stock market volume"
KEPT = ("mae", "rmse", "r2", "wape", "rmsle", "skill")  # of the scores of scores.Sums

WRITTEN: dict[str, Callable[[float], str]] = {
    "mae": "{:,.0f}".format,
    "rmse": "{:,.0f}".format,
    "r2": "{:.4f}".format,
    "wape": "{:.3f}".format,
    "rmsle": "{:.3f}".format,
    "skill": tell_skill,
    "calibration_mae": "{:,.0f}".format,  # by which the champion is chosen
}


def write_metrics(folder: Path, metrics: Mapping[str, Any]) -> None:
    """Write metrics.json. metrics: {"same_day": {"champion", "test_from", "models": {name: scores}, ...}, "next_day":
    the same}.
    """
    (folder / "metrics.json").write_text(json.dumps(metrics, indent=1, allow_nan=False) + "\n")


def list_scores(
    test: Mapping[str, Mapping[str, float]],
    calibration: Mapping[str, Mapping[str, float]],
    train_rows: Mapping[str, int],
) -> dict[str, dict[str, float]]:
    """The scores of each model as metrics.json holds them, from those that scores.Sums made of both periods."""
    listed = {name: {key: scores[key] for key in KEPT} | {"test_rows": scores["rows"]} for name, scores in test.items()}
    for name in listed:
        if name in calibration:
            listed[name]["calibration_mae"] = calibration[name]["mae"]
        if name in train_rows:
            listed[name]["train_rows"] = train_rows[name]
    return listed


def show_scores(models: Mapping[str, Mapping[str, float]]) -> pd.DataFrame:
    """The scores as a table to read, a row a model, rounded."""
    rounded = {key: {name: WRITTEN[key](row[key]) for name, row in models.items()} for key in list_columns(models)}
    return pd.DataFrame(rounded)


def list_columns(models: Mapping[str, Mapping[str, float]]) -> list[str]:
    """The scores that all models have, in the order of WRITTEN."""
    return [key for key in WRITTEN if all(key in row for row in models.values())]


def check_mlflow() -> None:
    """See, where MLFLOW_TRACKING_URI is set, that runs can be logged there: better before a training than after it.

    Raises ResourceError with the remedy.
    """
    if os.environ.get(TRACKING):
        retries = os.environ.get(RETRIES, "2")  # MLflow by itself would try for four minutes
        with open_mlflow({RETRIES: retries}) as mlflow:
            mlflow.set_experiment(EXPERIMENT)


def log_to_mlflow(published: Place, parameters: Mapping[str, Any], metrics: Mapping[str, Any]) -> bool:
    """Log parameters, metrics and the bundle's files as a run. Returns whether MLFLOW_TRACKING_URI asks for it.

    Raises ResourceError if MLflow fails; the bundle has been published by then.
    """
    if not os.environ.get(TRACKING):
        return False
    with open_mlflow() as mlflow, bring_here(published) as bundle:
        mlflow.set_experiment(EXPERIMENT)
        with mlflow.start_run(run_name=bundle.name):
            mlflow.log_params(dict(parameters))
            for task, result in metrics.items():
                mlflow.set_tag(f"{task}.champion", result["champion"])
                for model, scores in result["models"].items():
                    numbers = {
                        f"{task}.{model}.{name}": value
                        for name, value in scores.items()
                        if isinstance(value, int | float)
                    }
                    mlflow.log_metrics(numbers)
            mlflow.log_artifacts(str(bundle), artifact_path="bundle")
            log_model(mlflow, bundle)
    return True


def log_model(mlflow: ModuleType, bundle: Path) -> None:
    """Log the bundle as a model with its signature, so that MLflow's registry and `mlflow models serve` can use it.

    The code that answers goes with it; it needs NumPy and nothing else.
    """
    from mlflow.models import infer_signature

    example = pd.DataFrame({"vol_moving_avg": [1.2e6], "adj_close_rolling_med": [25.0]})
    mlflow.pyfunc.log_model(
        "model",
        loader_module="serving.mlflow_loader",
        data_path=str(bundle),
        code_paths=[str(SERVING)],
        pip_requirements=["numpy"],
        signature=infer_signature(example, np.array([1e6])),
        input_example=example,
    )


@contextmanager
def open_mlflow(variables: Mapping[str, str] | None = None) -> Iterator[ModuleType]:
    """MLflow, with environment variables for the length of the block. Its failures become ResourceErrors.

    MLflow prints the address of its server, in links and in errors: so the credentials of a server are taken out of
    the address, into the variables that MLflow has for them. A database's stay, and MLflow's own log is silent.
    """
    try:
        import mlflow
    except ImportError as error:
        raise ResourceError(f"{TRACKING} is set, but {error}: pip install mlflow, or unset the variable.") from None
    log = logging.getLogger("mlflow")
    level = log.level
    try:
        log.setLevel(logging.CRITICAL)
        with set_variables(dict(variables or {}) | hide_credentials(os.environ[TRACKING])):
            yield mlflow
    except Exception as error:  # of MLflow, its HTTP client or its database; their words may hold a password
        what = f"{TRACKING} is set, but MLflow does not answer there ({type(error).__name__})"
        raise ResourceError(f"{what}: start its server, or unset the variable.") from None
    finally:
        log.setLevel(level)


def hide_credentials(uri: str) -> dict[str, str]:
    """Variables that say the same as a tracking URI with credentials, and show none: nothing for one without."""
    if not uri.lower().startswith(("http://", "https://")):
        return {}
    address, user, password = take_credentials(uri)
    return {TRACKING: address, USER: user, PASSWORD: password} if user else {}
