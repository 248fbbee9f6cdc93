"""The track record over HTTP: for programs, for people, for whoever watches; and a damaged one stops nothing."""

import json
from datetime import date
from pathlib import Path

import httpx
import pandas as pd
import pytest
from in_process import start_worker
from small_model import list_files, publish_model, write_manifest

from pipeline.datasets.contract import FORECASTS
from pipeline.diary.record import write_record
from pipeline.diary.scoring import score_forecasts
from serving.app import create_app
from serving.bundle import load_bundle
from serving.watch import ModelWatch
from tests.diary.evenings import evening, list_sessions, make_volumes

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


def make_scores(replay: bool, sessions: int, factor: float = 1.1) -> pd.DataFrame:
    """Scores of two symbols, by the diary's own code."""
    days = list_sessions(date(2021, 2, 1), sessions + 1)
    volumes = make_volumes(["AAPL", "^GSPC"], days)
    rows = []
    for symbol, told in volumes.items():
        for place, volume in enumerate(list(told.values())[1:]):
            numbers = (int(volume * times) for times in (factor, 0.6, 1.7, 2))
            rows.append((evening(days[place]).now, symbol, days[place + 1], *numbers, "m", replay))
    forecasts = pd.DataFrame(rows, columns=[name for name in FORECASTS.names if name != "late"])
    actual = [(symbol, day, volume) for symbol, told in volumes.items() for day, volume in told.items()]
    return score_forecasts(forecasts, pd.DataFrame(actual, columns=["symbol", "date", "actual"]))


def publish(run_dir: Path, name: str, *scores: pd.DataFrame, **replaced: str) -> None:
    """Publish a model with a track record. replaced: file's stem -> other content."""
    folder = publish_model(run_dir, name)
    write_record(folder, pd.concat(scores))
    for stem, content in replaced.items():
        (path,) = folder.glob(f"{stem}.*")
        path.write_text(content)
    manifest = json.loads((folder / "manifest.json").read_text())
    write_manifest(folder, manifest | {"files": list_files(folder)})


@pytest.fixture
def serve(tmp_path):
    """`serve(scores...)`: a client of a server over a model with these scores."""
    open_ones = []

    def begin(*scores, **replaced) -> httpx.Client:
        publish(tmp_path, "first", *scores, **replaced)
        models = ModelWatch(tmp_path)
        models.load()
        server = start_worker(create_app(models))
        client = httpx.Client(base_url=server.url, timeout=10)
        open_ones.extend([client.close, server.stop])
        return client

    yield begin
    for end in open_ones:
        end()


def test_an_error_as_large_as_the_naive_one_is_told_as_equal(serve):
    page = serve(make_scores(False, 25, factor=2)).get("/track-record", headers=BROWSER)
    assert ">equal<" in page.text and "0.0% better" not in page.text


def test_programs_get_json_and_browsers_a_page(serve):
    http = serve(make_scores(False, 25), make_scores(True, 30))
    record = http.get("/track-record").json()
    assert record["live"]["windows"]["20"]["forecasts"] == 40
    assert record["replay"]["sessions"] == 30
    page = http.get("/track-record", headers=BROWSER)
    assert page.headers["Content-Type"].startswith("text/html") and "Accept" in page.headers["Vary"]
    window = record["live"]["windows"]["20"]
    assert f"{window['coverage']:.1%}" in page.text and f"{abs(window['skill']):.1%} better" in page.text
    assert page.text.count("<h2") == 2 and "Not published at the time" in page.text
    assert page.text.count('data-head="last sessions"') == 4  # 20 and 25, 20 and 30
    assert page.text.count("<rect") == 55  # a bar for each session


def test_a_symbol_has_its_last_forecasts(serve):
    http = serve(make_scores(False, 25))
    past = http.get("/track-record/aapl").json()
    assert past["symbol"] == "AAPL" and past["replay"] is False
    assert len(past["dates"]) == len(past["actual"]) == 20 and past["dates"] == sorted(past["dates"])
    unknown = http.get("/track-record/MSFT")
    assert unknown.status_code == 404 and unknown.json()["field"] == "symbol"


def test_a_bad_live_record_is_told_and_the_server_is_ready(serve):
    http = serve(make_scores(False, 25, factor=9.0))
    ready = http.get("/ready")
    assert ready.status_code == 200
    doubt = ready.json()["doubts"][-1]
    assert "worse than the naive answer" in doubt
    assert doubt in http.get("/track-record", headers=BROWSER).text


def test_a_replay_alone_is_no_reason_to_doubt(serve):
    http = serve(make_scores(True, 25, factor=9.0))
    assert http.get("/ready").json()["doubts"] == []
    assert http.get("/track-record").json()["live"] is None
    assert "No published forecast has been scored yet" in http.get("/track-record", headers=BROWSER).text


def test_a_model_without_a_record_answers(http):
    assert http.get("/track-record").json() == {"format": 1, "live": None, "replay": None, "doubts": []}
    assert "No published forecast has been scored yet" in http.get("/track-record", headers=BROWSER).text
    assert http.get("/track-record/AAPL").json()["dates"] == []
    assert http.get("/ready").json()["doubts"] == []


@pytest.mark.parametrize(
    "replaced",
    [
        {"track_record": "[]"},
        {"track_record": "{"},
        {"track_record": '{"format": 2, "live": null, "replay": null, "doubts": []}'},
        {"track_record": '{"format": 1, "live": {"windows": {"20": {}}}, "replay": null, "doubts": []}'},
        {"track_record": '{"format": 1, "live": {"windows": 3}, "replay": null, "doubts": []}'},
        {"track_record": "[" * 100_000},
        {"past_forecasts": "null\n"},
        {"past_forecasts": '{"symbol": "AAPL"}\n'},
    ],
)
def test_a_record_that_cannot_be_understood_stops_no_answer(serve, replaced):
    http = serve(make_scores(False, 25), **replaced)
    assert http.get("/predict?vol_moving_avg=12345&adj_close_rolling_med=25").status_code == 200
    (doubt,) = http.get("/ready").json()["doubts"]
    assert "cannot be read" in doubt
    assert doubt.split(" (")[0] in http.get("/track-record", headers=BROWSER).text


def test_a_flipped_bit_in_the_record_refuses_the_version(tmp_path):
    publish(tmp_path, "first", make_scores(False, 25))
    path = tmp_path / "model" / "first" / "track_record.json"
    path.write_text(path.read_text().replace("live", "lice"))
    with pytest.raises(Exception, match="checksum differs"):
        load_bundle(tmp_path)


def test_a_symbols_record_is_drawn_beside_its_forecast(serve, browser):
    http = serve(make_scores(False, 25))
    page = browser.new_page()
    page.goto(str(http.base_url))
    page.fill("#symbol", "AAPL")
    page.press("#symbol", "Enter")
    page.wait_for_selector("#record:not([hidden]) rect")
    assert page.locator("#record rect").count() == 20
    assert page.locator("#record circle").count() == 20
    told = page.inner_text("#record-text")
    past = http.get("/track-record/AAPL").json()
    inside = sum(low <= v <= high for low, v, high in zip(past["low"], past["actual"], past["high"], strict=True))
    assert f"{inside} of 20 lay inside" in told and "published before its day" in told
    page.click("text=How past forecasts did")
    assert page.inner_text("h1") == "Forecasts against what came"
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.set_viewport_size({"width": 360, "height": 700})
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.close()
