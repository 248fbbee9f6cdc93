"""The model in a real MLflow: as its registry's users load it and ask it."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from small_model import publish_model

from pipeline.forecasting import records

METRICS = {"same_day": {"champion": "grid", "test_from": "2010-01-01", "models": {"grid": {"mae": 1.5}}}}

# A process that knows nothing of this project: the code must come with the model.
ASK = """
import mlflow
import pandas as pd
(run,) = mlflow.search_runs(search_all_experiments=True, output_format="list")
mlflow.register_model(f"runs:/{run.info.run_id}/model", "volume")
model = mlflow.pyfunc.load_model("models:/volume/1")
rows = pd.DataFrame({"adj_close_rolling_med": [25.0, 9.5], "vol_moving_avg": [11500.0, 1000.0]})
print(model.predict(rows).tolist())
try:
    model.predict(rows.drop(columns="vol_moving_avg"))
except mlflow.exceptions.MlflowException:
    print("refused")
"""


@pytest.mark.slow
def test_the_logged_model_answers_wherever_mlflow_loads_it(tmp_path, monkeypatch):
    pytest.importorskip("mlflow", reason="pip install mlflow-skinny sqlalchemy alembic")
    pytest.importorskip("alembic", reason="MLflow's sqlite store needs sqlalchemy and alembic")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(records.TRACKING, f"sqlite:///{tmp_path}/mlflow.db")
    records.log_to_mlflow(publish_model(tmp_path / "run", "one"), {}, METRICS)
    command = [sys.executable, "-c", ASK]
    asked = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert asked.stdout.splitlines() == ["[10580.0, 900.0]", "refused"], asked.stderr[-2000:]


@pytest.mark.slow
def test_mlflow_s_own_server_answers(tmp_path, monkeypatch):
    """`mlflow models serve`, by its own command."""
    for needed in ("mlflow", "alembic", "fastapi", "uvicorn"):
        pytest.importorskip(needed, reason="pip install mlflow-skinny sqlalchemy alembic fastapi uvicorn")
    import mlflow

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(records.TRACKING, f"sqlite:///{tmp_path}/mlflow.db")
    records.log_to_mlflow(publish_model(tmp_path / "run", "one"), {}, METRICS)
    (run,) = mlflow.search_runs(search_all_experiments=True, output_format="list")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", f"runs:/{run.info.run_id}/model"]
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    asked = {"columns": ["adj_close_rolling_med", "vol_moving_avg"], "data": [[25, 11_500], [9.5, 1_000]]}
    options = ["--env-manager", "local", "--port", port]
    with subprocess.Popen([*command, *options], cwd=tmp_path, env=environment, start_new_session=True) as process:
        try:
            patient = httpx.HTTPTransport(retries=8)  # pauses grow: a minute in all
            with httpx.Client(transport=patient, timeout=60) as client:
                told = client.post(f"http://127.0.0.1:{port}/invocations", json={"dataframe_split": asked})
        finally:
            os.killpg(process.pid, signal.SIGKILL)
    assert told.json() == {"predictions": [10_580.0, 900.0]}
