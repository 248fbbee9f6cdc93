"""Models of the same day, the scores they are judged by, and their records."""

import os
import sys
import threading
import traceback
from base64 import b64encode
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from pipeline.datasets.run_folder import RunFolder
from pipeline.errors import ResourceError
from pipeline.forecasting import evaluation, records
from pipeline.forecasting.market_rows import MarketRows, concatenate, read_rows
from pipeline.forecasting.same_day import grid
from pipeline.forecasting.same_day import models as same_day
from pipeline.forecasting.same_day.counts import Learned
from pipeline.forecasting.same_day.moments import measure_moments
from pipeline.forecasting.scores import add_up
from serving.bundle import load_bundle, write_bundle


@pytest.fixture(scope="module")
def rows(market_files):
    return concatenate([read_rows(file) for file in market_files])


def learn(rows: MarketRows) -> Learned:
    """What these rows teach, none of them old."""
    found = np.zeros((*grid.SHAPE, grid.BINS), np.int64)
    cells = grid.find_cells(rows.vol_moving_avg, rows.adj_close_rolling_med)
    bins = grid.find_bins(rows.volume / rows.vol_moving_avg)
    np.add.at(found, (*cells, bins), np.rint(rows.vol_moving_avg).astype(np.int64))
    return Learned(found, measure_moments(rows))


@pytest.mark.parametrize("name", ["random_forest", "xgboost", "hist_gradient_boosting"])
def test_trees_find_that_small_symbols_have_another_ratio(spark, rows, name):
    level = rows.vol_moving_avg
    usual = replace(rows, volume=level * np.where(level < 2**17, 0.5, 0.8))
    model = same_day.fit_model(name, learn(usual), spark)
    predicted = model.predict(level, rows.adj_close_rolling_med)
    assert add_up(usual.volume, {"naive": level, name: predicted}).score()[name]["skill"] > 0.9
    assert model.point["kind"] == "grid" and model.train_rows == len(rows)


def test_the_bundle_answers_as_training_did_to_the_last_share(spark, rows, tmp_path):
    model = same_day.fit_model("grid", learn(rows), spark)
    ranges = {name: [0.0, 1e9] for name in same_day.FEATURES}
    facts = {
        "ranges": ranges,
        "trained": ["2013-01-01", "2016-01-01"],
        "data_version": "x",
        "champion": "grid",
        "interval": 0.8,
    }
    edges = same_day.list_edges()
    tables = {"edges": edges, "low": np.full(grid.SHAPE, 0.5).tolist(), "high": np.full(grid.SHAPE, 2.0).tolist()}
    draft = RunFolder(tmp_path).open_draft("model")
    contents = write_bundle(draft.path, model.point, tables, same_day.choose_questions(rows), facts)
    records.write_metrics(draft.path, {})
    draft.publish(parameters={}, inputs={}, extra={"model": contents})
    told = load_bundle(tmp_path).model.answer_all(rows.vol_moving_avg, rows.adj_close_rolling_med)
    expected = evaluation.as_served(model.predict(rows.vol_moving_avg, rows.adj_close_rolling_med))
    assert [answer.volume for answer in told] == expected.astype(int).tolist()


def test_the_line_is_that_of_numpy_and_of_spark(spark, rows):
    moments = measure_moments(rows)
    linear, model = same_day.fit_linear(moments), same_day.fit_spark_linear(spark, moments)
    inputs = np.column_stack([rows.vol_moving_avg, rows.adj_close_rolling_med, np.ones(len(rows))])
    expected = inputs @ np.linalg.lstsq(inputs, rows.volume, rcond=None)[0]
    assert np.allclose(linear.predict(rows.vol_moving_avg, rows.adj_close_rolling_med), expected, rtol=1e-7, atol=1)
    assert linear.point["coefficients"] == pytest.approx(list(model.coefficients), rel=1e-8)


METRICS = {
    "same_day": {"champion": "grid", "models": {"grid": {"mae": 1.5, "r2": 0.7}, "naive": {"mae": 2.0, "r2": 0.6}}}
}


def test_nothing_is_logged_without_a_tracking_server(tmp_path, monkeypatch):
    monkeypatch.delenv(records.TRACKING, raising=False)
    assert records.log_to_mlflow(tmp_path, {}, METRICS) is False


@pytest.mark.parametrize("installed", [True, False])
def test_an_mlflow_that_is_not_there_is_told_before_the_training(installed, monkeypatch):
    if installed:
        pytest.importorskip("mlflow", reason="pip install mlflow-skinny")
    else:
        monkeypatch.setitem(sys.modules, "mlflow", None)
    monkeypatch.setenv(records.RETRIES, "0")
    monkeypatch.setenv(records.TRACKING, "http://somebody:secret-word@127.0.0.1:9")  # the discard port: nobody listens
    with pytest.raises(ResourceError, match=records.TRACKING) as told:
        records.check_mlflow()
    assert ("pip install" in str(told.value)) is not installed
    assert "unset" in str(told.value)
    assert "secret-word" not in "".join(traceback.format_exception(told.value))


class Refusing(BaseHTTPRequestHandler):
    """A tracking server that lets nobody in, and notes who asked."""

    def do_GET(self):
        self.server.asked.append((self.headers.get("Authorization", ""), self.path))
        self.send_response(403)
        self.end_headers()

    def do_POST(self):
        self.do_GET()

    def log_message(self, *_):
        pass


@pytest.fixture
def refusing_server():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Refusing)
    server.asked = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("ask", [records.check_mlflow, lambda: records.log_to_mlflow(Path("x"), {}, METRICS)])
def test_mlflow_gets_the_password_of_the_address_and_nobody_else(refusing_server, monkeypatch, caplog, capfd, ask):
    pytest.importorskip("mlflow", reason="pip install mlflow-skinny")
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    address = f"http://some%20body:swordfish@sesame@127.0.0.1:{refusing_server.server_port}"
    monkeypatch.setenv(records.TRACKING, address)
    with pytest.raises(ResourceError, match=records.TRACKING) as told:
        ask()
    assert {who for who, _ in refusing_server.asked} == {"Basic " + b64encode(b"some body:swordfish@sesame").decode()}
    said = "".join(traceback.format_exception(told.value)) + caplog.text + "".join(capfd.readouterr())
    assert "swordfish" not in said and "sesame" not in said
    assert os.environ[records.TRACKING] == address and records.PASSWORD not in os.environ


def test_a_run_lands_in_a_real_mlflow_store(tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow", reason="pip install mlflow-skinny sqlalchemy alembic")
    pytest.importorskip("alembic", reason="MLflow's sqlite store needs sqlalchemy and alembic")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(records.TRACKING, f"sqlite:///{tmp_path}/mlflow.db")
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    (bundle / "model.json").write_text("{}")
    records.check_mlflow()
    assert records.log_to_mlflow(bundle, {"TEST_FROM": "2018-01-01"}, METRICS) is True
    (run,) = mlflow.search_runs(experiment_names=[records.EXPERIMENT], output_format="list")
    assert run.data.params["TEST_FROM"] == "2018-01-01"
    assert run.data.metrics["same_day.grid.mae"] == 1.5 and run.data.tags["same_day.champion"] == "grid"
    assert [file.path for file in mlflow.artifacts.list_artifacts(run_id=run.info.run_id)] == ["bundle"]
