"""What a report tells of published forecasts, and when it says to look at them."""

import json

import pytest

from pipeline.datasets.run_folder import RunFolder
from pipeline.reports.facts import gather_facts
from pipeline.reports.report import write_report
from pipeline.reports.track_record import FILE
from pipeline.reports.verdicts import judge
from tests.reports.small_report import RUN, WINDOW, make_full_run

RECORD = {"live": {"windows": {"20": WINDOW, "60": WINDOW}}, "replay": None, "doubts": []}


def publish_record(run_dir, content: str) -> RunFolder:
    draft = RunFolder(run_dir).open_draft("model")
    (draft.path / FILE).write_text(content)
    draft.publish(parameters={}, inputs={})
    return RunFolder(run_dir)


def test_a_good_live_record_is_kept_and_told_in_windows(tmp_path):
    run = RUN | gather_facts(publish_record(tmp_path, json.dumps(RECORD)))
    (verdict,) = [one for one in judge(run) if one["what"].startswith("Live")]
    assert verdict["kept"]
    assert verdict["what"].endswith("79.7% inside their 80% interval, error 20.0% better than the naive answer's.")
    page = write_report(run, None, tmp_path).read_text()
    assert "Published forecasts against what came" in page
    assert "152,980" in page and page.count("20.0% better") == 1


def test_a_single_day_is_told_as_one(tmp_path):
    one = WINDOW | {"sessions": 1, "forecasts": 1, "to": WINDOW["from"]}
    record = RECORD | {"live": {"windows": {"20": one, "60": one}}}
    run = RUN | gather_facts(publish_record(tmp_path, json.dumps(record)))
    (verdict,) = [one for one in judge(run) if one["what"].startswith("Live")]
    assert verdict["what"].startswith("Live: 1 forecast of 1 session, 2020-03-03: 79.7% inside")
    assert verdict["what"].endswith("It is judged once 20 sessions are scored.")
    assert "<td>1, 2020-03-03</td>" in write_report(run, None, tmp_path).read_text()


def test_a_doubt_turns_the_verdict(tmp_path):
    doubt = "Live, 60.0% of the days lay in their 80% interval over the last 60 sessions."
    run = RUN | gather_facts(publish_record(tmp_path, json.dumps(RECORD | {"doubts": [doubt]})))
    verdicts = judge(run)
    assert {"kept": False, "what": doubt} in verdicts
    assert "Look at" in write_report(run | {"verdicts": verdicts}, None, tmp_path).read_text()


def test_a_replay_is_shown_apart_and_not_judged(tmp_path):
    run = RUN | gather_facts(publish_record(tmp_path, json.dumps(RECORD | {"live": None, "replay": RECORD["live"]})))
    assert not [one for one in judge(run) if "Live" in one["what"]]
    page = write_report(run, None, tmp_path).read_text()
    assert "<td>replay</td>" in page and "<td>live</td>" not in page and "made afterwards" in page


def test_nothing_scored_says_so(tmp_path):
    run = RUN | gather_facts(publish_record(tmp_path, json.dumps(RECORD | {"live": None})))
    assert judge(run) == []
    assert "before its day's open is, once the day has come" in write_report(run, None, tmp_path).read_text()


@pytest.mark.parametrize(
    "content", ["{", "[]", "{}", '{"live": 3, "replay": null, "doubts": []}', json.dumps(RECORD | {"doubts": [1]})]
)
def test_a_damaged_record_is_told_and_the_report_is_written(tmp_path, content):
    run = RUN | gather_facts(publish_record(tmp_path, content))
    (verdict,) = judge(run)
    assert not verdict["kept"] and FILE in verdict["what"]
    write_report(run, None, tmp_path)


def test_names_in_it_are_escaped(tmp_path):
    page = write_report(make_full_run(), None, tmp_path).read_text()
    assert "&lt;b&gt;&amp;" in page and "<b>&" not in page
