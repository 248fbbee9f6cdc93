"""The API as a program sees it: its contract, and its answers to what cannot be answered."""

import time

import pytest

GOOD = {"vol_moving_avg": "11500", "adj_close_rolling_med": "25"}


def test_the_answer_is_a_bare_integer(http):
    answer = http.get("/predict", params=GOOD)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/json")
    assert answer.text.strip() == "10580"


def test_the_detailed_answer(http):
    answer = http.get("/predict", params=GOOD | {"detail": "true"}).json()
    assert answer == {
        "volume": 10_580, "low": 5_750, "high": 18_400, "in_range": True,
        "model": {"name": "grid", "version": "first"},
    }  # fmt: skip


@pytest.mark.parametrize(
    "question", [{"vol_moving_avg": "0"}, {"vol_moving_avg": "1e18"}, GOOD | {"adj_close_rolling_med": "-1e18"}]
)
def test_outside_of_training_there_is_an_honest_answer(http, question):
    answer = http.get("/predict", params=GOOD | question | {"detail": "true"}).json()
    assert not answer["in_range"]
    assert 0 <= answer["low"] <= answer["volume"] <= answer["high"]


BAD_NUMBERS = ["nan", "inf", "-inf", "1e400", "abc", "", "1_000", "٣", " 5", "1,000", "0x10", "1" * 400, "\0", "é"]


@pytest.mark.parametrize("field", ["vol_moving_avg", "adj_close_rolling_med"])
@pytest.mark.parametrize("text", BAD_NUMBERS)
def test_what_is_no_number_is_refused_by_name(http, field, text):
    answer = http.get("/predict", params=GOOD | {field: text})
    assert (answer.status_code, answer.json()["field"]) == (400, field)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("", "vol_moving_avg"),
        ("vol_moving_avg=1", "adj_close_rolling_med"),
        ("vol_moving_avg=-1&adj_close_rolling_med=1", "vol_moving_avg"),
        ("vol_moving_avg=1&vol_moving_avg=2&adj_close_rolling_med=1", "vol_moving_avg"),
        ("vol_moving_avg=1&adj_close_rolling_med=1&detail=yes", "detail"),
        ("vol_moving_avg=1&adj_close_rolling_med=1&volum=1", "volum"),
        ("vol_moving_avg=%ff&adj_close_rolling_med=1", "vol_moving_avg"),
    ],
)
def test_a_wrong_query_is_refused_by_name(http, query, field):
    answer = http.get("/predict?" + query)
    assert (answer.status_code, answer.json()["field"]) == (400, field)


def test_a_batch_is_answered_in_its_order(http):
    rows = [{"vol_moving_avg": 1_000 * number, "adj_close_rolling_med": 25} for number in range(10_000)]
    predictions = http.post("/predict", json={"rows": rows}).json()["predictions"]
    assert predictions == [920 * number for number in range(10_000)]


ROW = '{"vol_moving_avg": 1, "adj_close_rolling_med": 1}'


def send(*rows: str) -> str:
    return '{"rows": [' + ", ".join(rows) + "]}"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ("{", "body"),
        ("\xff", "body"),
        ("[" * 100_000, "body"),
        ("[]", "rows"),
        (send(), "rows"),
        (send(ROW)[:-1] + ', "more": 1}', "rows"),
        (send(*[ROW] * 10_001), "rows"),
        (send("1"), "rows[0]"),
        (send(ROW, '{"vol_moving_avg": 1}'), "rows[1]"),
        *[
            (send(ROW.replace("1", value)), "rows[0].vol_moving_avg")
            for value in ("NaN", "1e400", "9" * 400, "-1", "true", '"1"', "null")
        ],
    ],
)  # fmt: skip
def test_a_wrong_batch_is_refused_by_name(http, body, field):
    answer = http.post("/predict", content=body.encode("latin-1"), headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["field"]) == (400, field)


def test_wrong_ways_to_ask(http):
    assert http.post("/predict", content="{}", headers={"Content-Type": "text/plain"}).status_code == 415
    deleted = http.delete("/predict")
    assert deleted.status_code == 405
    assert "GET" in deleted.headers["Allow"]
    assert http.get("/nothing").json()["error"]
    assert http.get("/predict?vol_moving_avg=" + "9" * 20_000).status_code == 414


def test_a_forecast_and_its_symbols(http):
    found = http.get("/symbols", params={"q": "apple"}).json()["symbols"]
    assert found == [{"symbol": "AAPL", "name": "Apple Inc."}]
    forecast = http.get("/forecast/%5EGSPC").json()
    assert (forecast["symbol"], forecast["date"], forecast["volume"]) == ("^GSPC", "2013-03-11", 1_500_000)
    assert http.get("/forecast/NONE").status_code == 404


def test_metrics_count_what_was_answered(http):
    http.get("/predict", params=GOOD)
    for _ in range(50):  # a request is counted just after its answer left
        text = http.get("/metrics").text
        if 'http_requests_total{status="200"}' in text:
            return
        time.sleep(0.02)
    raise AssertionError(text)
