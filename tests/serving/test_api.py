"""The API as a program sees it: its contract, and its answers to what cannot be answered."""

import re
import time

import httpx
import pytest

from serving.app import create_app

GOOD = {"vol_moving_avg": "11500", "adj_close_rolling_med": "25"}


def test_the_answer_is_a_bare_integer(http):
    answer = http.get("/predict", params=GOOD)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/json")
    assert answer.text.strip() == "10580"


def test_the_detailed_answer(http, models):
    answer = http.get("/predict", params=GOOD | {"detail": "true"}).json()
    assert answer == {
        "volume": 10_580, "low": 5_750, "high": 18_400, "in_range": True,
        "model": {"name": "grid", "version": models.bundle.version},
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
        (send(ROW)[:-1] + ', "detail": "true"}', "detail"),
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


def test_rows_of_a_spreadsheet_are_answered_as_rows(http):
    """CSV with the columns in any order, or tabs as a clipboard has them; the answer has the rows and what they got."""
    lines = ["adj_close_rolling_med,vol_moving_avg", "25,11500", "9.5,1e3", ""]
    for separator, kind in ((",", "text/csv"), ("\t", "text/tab-separated-values")):
        body = "\ufeff" + "\r\n".join(lines).replace(",", separator)
        answer = http.post("/predict", content=body.encode(), headers={"Content-Type": kind})
        assert answer.headers["Content-Type"].startswith("text/csv")
        assert answer.text.splitlines() == [
            "vol_moving_avg,adj_close_rolling_med,volume,low,high,in_range",
            "11500,25,10580,5750,18400,true",
            "1000,9.5,900,400,1700,true",
        ]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ("", "header"),
        ("volume,price\n1,2\n", "header"),
        ("vol_moving_avg,adj_close_rolling_med\n", "rows"),
        ("vol_moving_avg,adj_close_rolling_med\n1\n", "rows[0]"),
        ("vol_moving_avg,adj_close_rolling_med\n1,2\n1,2,3\n", "rows[1]"),
        ('vol_moving_avg,adj_close_rolling_med\n"1,000",2\n', "rows[0].vol_moving_avg"),
        ("vol_moving_avg,adj_close_rolling_med\n-1,2\n", "rows[0].vol_moving_avg"),
        ("vol_moving_avg,adj_close_rolling_med\n1,\n", "rows[0].adj_close_rolling_med"),
        ("vol_moving_avg,adj_close_rolling_med\n1,nan\n", "rows[0].adj_close_rolling_med"),
        ('vol_moving_avg,adj_close_rolling_med\n"1,2\n', "body"),
        ("\xff", "body"),
        ("vol_moving_avg,adj_close_rolling_med\n" + "1,2\n" * 10_001, "rows"),
    ],
)
def test_wrong_rows_of_a_spreadsheet_are_refused_by_name(http, body, field):
    answer = http.post("/predict", content=body.encode("latin-1"), headers={"Content-Type": "text/csv"})
    assert (answer.status_code, answer.json()["field"]) == (400, field)


def test_forecasts_of_many_symbols_come_in_their_order(http):
    answers = http.post("/forecast", json={"symbols": ["^GSPC", "NONE", "aapl"]}).json()["forecasts"]
    assert [one.get("volume") for one in answers] == [1_500_000, None, 1_500_000]
    assert [one["symbol"] for one in answers] == ["^GSPC", "NONE", "AAPL"]
    assert "NONE" in answers[1]["error"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ([], "symbols"),
        ({"symbols": []}, "symbols"),
        ({"symbols": "AAPL"}, "symbols"),
        ({"symbols": ["AAPL"], "more": 1}, "symbols"),
        ({"symbols": ["AAPL", 1]}, "symbols[1]"),
        ({"symbols": ["A" * 41]}, "symbols[0]"),
        ({"symbols": ["A"] * 1_001}, "symbols"),
    ],
)
def test_a_wrong_list_of_symbols_is_refused_by_name(http, body, field):
    answer = http.post("/forecast", json=body)
    assert (answer.status_code, answer.json()["field"]) == (400, field)


def test_a_forecast_that_is_known_is_not_sent_again(http):
    first = http.get("/forecast/AAPL")
    again = http.get("/forecast/AAPL", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert http.get("/forecast/AAPL", headers={"If-None-Match": '"another"'}).status_code == 200


def test_what_is_larger_than_a_packet_is_compressed_for_whoever_takes_that(http):
    plain = http.get("/forecast/AAPL", headers={"Accept-Encoding": "identity"})
    packed = http.get("/forecast/AAPL", headers={"Accept-Encoding": "gzip"})
    assert packed.json() == plain.json()
    assert packed.headers["Content-Encoding"] == "gzip"
    assert int(packed.headers["Content-Length"]) < int(plain.headers["Content-Length"]) / 2
    assert "Accept-Encoding" in packed.headers["Vary"]
    assert "Content-Encoding" not in http.get("/health", headers={"Accept-Encoding": "gzip"}).headers


@pytest.mark.parametrize("path", ["/predict/", "//predict", "/predict//"])
def test_slashes_more_or_less_make_no_difference(http, path):
    assert http.get(str(http.base_url) + path, params=GOOD).json() == 10_580


def test_every_answer_carries_the_same_protection(http):
    """Also those that the application never sees."""
    answers = [
        http.get("/predict", params=GOOD), http.get("/predict"), http.get("/nothing"), http.delete("/predict"),
        http.get("/predict?vol_moving_avg=" + "9" * 20_000), http.get("/", headers={"X": "y" * 40_000}),
        http.post("/predict", content="{}"), http.get("/forecast/AAPL"), http.get("/"), http.get("/static/page.js"),
    ]  # fmt: skip
    assert {answer.status_code for answer in answers} == {200, 400, 404, 405, 414, 415, 431}
    for answer in answers:
        assert answer.headers["X-Content-Type-Options"] == "nosniff", answer
        assert "frame-ancestors" in answer.headers["Content-Security-Policy"]


def test_pages_of_other_origins_may_ask_where_the_owner_allows_it(models, monkeypatch):
    ours, theirs = {"Origin": "https://our.example"}, {"Origin": "https://their.example"}
    asks = {**ours, "Access-Control-Request-Method": "POST"}
    closed = create_app(models).test_client()
    assert "Access-Control-Allow-Origin" not in closed.get("/health", headers=ours).headers
    monkeypatch.setenv("ALLOW_ORIGINS", "https://our.example, https://other.example")
    client = create_app(models).test_client()
    assert client.get("/health", headers=ours).headers["Access-Control-Allow-Origin"] == "https://our.example"
    assert client.get("/predict", headers=ours).headers["Access-Control-Allow-Origin"] == "https://our.example"
    assert "Access-Control-Allow-Origin" not in client.get("/health", headers=theirs).headers
    before = client.options("/predict", headers=asks)
    assert before.status_code == 204
    assert "X-Key" in before.headers["Access-Control-Allow-Headers"]


def test_links_hold_behind_any_prefix(http):
    """A proxy that shows this server under a path of its own, and cuts that off, changes nothing on the pages."""
    for path in ("/", "/docs", "/docs/", "/a/b/c"):
        page = http.get(path, headers={"Accept": "text/html"})
        assert page.headers["Content-Type"].startswith("text/html")
        links = re.findall(r'(?:href|src)="([^"]+)"', page.text)
        assert len(links) > 1
        assert not [link for link in links if link.startswith("/") or ":" in link]
        for link in links:
            assert http.get(httpx.URL(str(http.base_url) + path).join(link)).status_code == 200
    described = http.get("/openapi.json", headers={"X-Forwarded-Prefix": "/proxy/8000"}).json()
    assert described["servers"] == [{"url": "/proxy/8000"}]


def test_the_description_names_every_status_that_can_come_back(http):
    for operations in http.get("/openapi.json").json()["paths"].values():
        for operation in operations.values():
            assert {"200", "401", "414", "429", "503"} <= set(operation["responses"])
