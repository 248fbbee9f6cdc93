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


def test_rows_of_a_spreadsheet_get_them_as_columns(http):
    """The same numbers as by JSON, whose answer has the interval as well where it is asked for."""
    header, rows = ",".join(DAY), [DAY, {"vol_moving_avg": 2_000_000, "adj_close_rolling_med": 50}]
    body = "\n".join([header, *[",".join(map(str, row.values())) for row in rows]])
    asked = {"quantiles": "0.05,0.90", "mean": "true"}
    answer = http.post("/predict", content=body, params=asked, headers={"Content-Type": "text/csv"})
    assert answer.text.splitlines() == [
        f"{header},volume,low,high,in_range,quantile_0.05,quantile_0.90,mean",
        "1000000,5,900000,400000,1700000,true,100000,1800000,1100000",
        "2000000,50,1840000,1000000,3200000,true,900000,2600000,2400000",
    ]
    told = http.post("/predict", json={"rows": rows, "detail": True}, params=asked).json()
    assert told == {
        "predictions": [900_000, 1_840_000],
        "low": [400_000, 1_000_000],
        "high": [1_700_000, 3_200_000],
        "in_range": [True, True],
        "quantiles": {"0.05": [100_000, 900_000], "0.90": [1_800_000, 2_600_000]},
        "mean": [1_100_000, 2_400_000],
    }
    only = http.post("/predict", content=body, params={"mean": "1"}, headers={"Content-Type": "text/csv"})
    assert only.text.splitlines()[0] == f"{header},volume,low,high,in_range,mean"


def test_many_may_ask_in_the_address_or_in_the_body_and_nothing_is_passed_over(http):
    for path, body in (("/predict", {"rows": [DAY]}), ("/forecast", {"symbols": ["AAPL"]})):
        told = http.post(path, params={"quantiles": "0.5"}, json={**body, "quantiles": [0.9], "mean": True}).json()
        told = told["forecasts"][0] if "forecasts" in told else told
        assert list(told["quantiles"]) == ["0.5", "0.9"]
        assert told["mean"]
        for wrong in ({"quantile": "0.5"}, {"quantiles": "2"}, {"mean": "maybe"}, {"detail": "true"}):
            answer = http.post(path, params=wrong, json=body)
            assert (answer.status_code, answer.json()["field"]) == (400, next(iter(wrong)))


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


@pytest.mark.parametrize(
    "wanted", [{"quantiles": [2]}, {"quantiles": ["0.5"]}, {"quantiles": []}, {"mean": 1}, {"mean": None}]
)
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
    rows = {"content": "vol_moving_avg,adj_close_rolling_med\n1,2\n", "headers": {"Content-Type": "text/csv"}}
    answer = plain.post("/predict", params=wanted, **rows)
    assert (answer.status_code, answer.json()["field"]) == (400, next(iter(wanted)))
    assert plain.post("/predict", **rows).status_code == 200


def test_the_examples_of_the_api_ask_for_what_the_model_has(http, plain):
    assert "quantiles=" in http.get("/docs").text
    assert "quantiles=" not in plain.get("/docs").text


def test_tables_that_cannot_be_are_refused_when_they_are_loaded(tmp_path):
    falling = copy.deepcopy(SPREAD)
    falling["quantiles"]["ratios"][3][0][0] = 9.0
    with pytest.raises((BundleError, ValueError), match="not fall"):
        publish_model(tmp_path, "one", spread=falling)
