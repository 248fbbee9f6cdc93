"""Quantiles and the mean beside an answer, over HTTP and from bundles with and without their tables."""

import copy

import httpx
import pytest
from in_process import start_worker
from small_model import SPREAD, publish_model

from serving.app import create_app
from serving.errors import BundleError
from serving.watch import ModelWatch

DAY = {"vol_moving_avg": 1_000_000, "adj_close_rolling_med": 5}  # where a quantile is twice its level


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A client of a server whose model was trained before there were quantiles."""
    run = tmp_path_factory.mktemp("plain")
    publish_model(run, "one", spread=None)
    models = ModelWatch(run)
    models.load()
    server = start_worker(create_app(models).wsgi_app)
    with httpx.Client(base_url=server.url) as client:
        yield client
    server.stop()


def test_quantiles_and_mean_come_beside_the_answer(http):
    asked = {**DAY, "quantiles": "0.1,0.50,0.525", "mean": "true"}
    told = http.get("/predict", params=asked).json()
    assert told == {
        "volume": 900_000,
        "quantiles": {"0.1": 200_000, "0.50": 1_000_000, "0.525": 1_050_000},
        "mean": 1_100_000,
    }
    detailed = http.get("/predict", params={**asked, "detail": "true"}).json()
    assert detailed.items() >= told.items()
    assert detailed["in_range"]


def test_a_batch_gives_the_same_numbers_in_columns(http):
    rows = [DAY, {"vol_moving_avg": 2_000_000, "adj_close_rolling_med": 50}]
    told = http.post("/predict", json={"rows": rows, "quantiles": [0.05, 0.9], "mean": True}).json()
    assert told["quantiles"] == {"0.05": [100_000, 900_000], "0.9": [1_800_000, 2_600_000]}
    assert told["mean"] == [1_100_000, 2_400_000]
    assert list(http.post("/predict", json={"rows": rows}).json()) == ["predictions"]


def test_a_forecast_has_them_too_and_only_when_asked(http):
    assert not {"quantiles", "mean"} & set(http.get("/forecast/AAPL").json())
    told = http.get("/forecast/AAPL", params={"quantiles": "0.1,0.525", "mean": "1"}).json()
    assert (told["quantiles"], told["mean"]) == ({"0.1": 300_000, "0.525": 1_575_000}, 1_600_000)
    asked = {"symbols": ["AAPL", "NONE"], "quantiles": [0.9]}
    known, unknown = http.post("/forecast", json=asked).json()["forecasts"]
    assert known["quantiles"] == {"0.9": 2_700_000}
    assert "mean" not in known
    assert "There is no forecast" in unknown["error"]


@pytest.mark.parametrize("levels", ["", "0", "1", "0.04", "0.951", "0.5,", "x", "nan", "1e-1000"])
def test_levels_that_no_bundle_holds_are_refused_with_a_sentence(http, levels):
    for path, params in (("/predict", DAY), ("/forecast/AAPL", {})):
        answer = http.get(path, params={**params, "quantiles": levels})
        assert answer.status_code == 400
        assert answer.json()["field"] == "quantiles"
        assert "from 0.05 to 0.95" in answer.json()["error"]


@pytest.mark.parametrize("wanted", [{"quantiles": [2]}, {"quantiles": ["0.5"]}, {"quantiles": []}, {"mean": 1}])
def test_a_body_is_held_to_the_same(http, wanted):
    for path, body in (("/predict", {"rows": [DAY]}), ("/forecast", {"symbols": ["AAPL"]})):
        answer = http.post(path, json={**body, **wanted})
        assert (answer.status_code, answer.json()["field"]) == (400, next(iter(wanted)))


@pytest.mark.parametrize("wanted", [{"quantiles": "0.5"}, {"mean": "true"}])
def test_a_model_without_them_says_how_they_come(plain, wanted):
    for path, params, status in (("/predict", DAY, 400), ("/forecast/AAPL", {}, 404)):
        answer = plain.get(path, params={**params, **wanted})
        assert (answer.status_code, answer.json()["field"]) == (status, next(iter(wanted)))
        assert "train it again" in answer.json()["error"]
        assert plain.get(path, params=params).status_code == 200


def test_the_examples_of_the_api_ask_for_what_the_model_has(http, plain):
    assert "quantiles=" in http.get("/docs").text
    assert "quantiles=" not in plain.get("/docs").text


def test_tables_that_cannot_be_are_refused_when_they_are_loaded(tmp_path):
    falling = copy.deepcopy(SPREAD)
    falling["quantiles"]["ratios"][3][0][0] = 9.0
    with pytest.raises((BundleError, ValueError), match="not fall"):
        publish_model(tmp_path, "one", spread=falling)
