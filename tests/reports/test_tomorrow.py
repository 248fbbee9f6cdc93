"""Tomorrow's numbers in the report: who has a forecast for the next trading day, and who has none."""

import json
import re
from datetime import date

import pandas as pd
import pytest

from pipeline.datasets.contract import FORECASTS
from pipeline.datasets.run_folder import RunFolder
from pipeline.diary.adding import add_rows
from pipeline.diary.entries import to_table
from pipeline.reports.facts import gather_facts
from pipeline.reports.next_day import FILE
from pipeline.reports.report import write_report
from pipeline.reports.verdicts import judge
from tests.reports.small_report import RUN


def make_line(symbol: str, volume: int = 1_200, last: str = "2021-01-26", day: str = "2021-01-27", **facts) -> dict:
    numbers = {"volume": volume, "low": volume // 2, "high": volume * 2, "vol_moving_avg": 1_000.0}
    return {"symbol": symbol, "name": f"{symbol} Inc.", "last_date": last, "date": day} | numbers | facts


def tell(folder, *lines: dict) -> str:
    """The text of the report's section, a row of its table a line."""
    draft = RunFolder(folder).open_draft("model")
    (draft.path / FILE).write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    draft.publish(parameters={}, inputs={})
    page = write_report(RUN | gather_facts(RunFolder(folder)), None, folder).read_text()
    (part,) = re.findall("<h2>The next trading day</h2>(.*?)</section>", page, re.DOTALL)
    return re.sub("<[^>]+>", " | ", part.replace("</tr>", "\n"))


def test_whoever_follows_a_few_symbols_reads_tomorrows_numbers(tmp_path):
    less = make_line("AAPL", 135_107_618, name=None, vol_moving_avg=150_119_575.6)
    told = re.sub(r"[ |]*\|[ |]*", " | ", tell(tmp_path, less, make_line("AGM-A")))
    assert "Forecasts for 2021-01-27." in told
    assert "| AAPL | 135,107,618 (10% less) | 67,553,809 to 270,215,236 |" in told
    assert "| AGM-A, AGM-A Inc. | 1,200 (20% more) | 600 to 2,400 |" in told
    assert "None for that day" not in told


def test_a_symbol_that_has_ended_or_is_late_has_no_number_for_tomorrow(tmp_path):
    gone = make_line("COST", 777, last="2021-01-11", day="2021-01-12")
    late = make_line("CSCO", 777, last="2021-01-25", day="2021-01-26")
    wrong = make_line("ODD", 777, last="2021-06-01", day="2021-06-02")  # a date that was misprinted
    told = tell(tmp_path, make_line("A"), gone, late, make_line("B"), wrong)
    assert "Forecasts for 2021-01-27." in told and "777" not in told
    assert "not of the session before it: ODD (2021-06-01), CSCO (2021-01-25), COST (2021-01-11)." in told


def note_in_diary(folder, made: str, *days: str) -> None:
    rows = [(pd.Timestamp(made), "A", date.fromisoformat(day), 1, 1, 1, 1, "m", False) for day in days]
    frame = pd.DataFrame(rows, columns=FORECASTS.names[:-1])
    frame["late"] = [made >= f"{day}T14:30+00:00" for day in days]
    add_rows(RunFolder(folder), "forecasts", to_table(frame, FORECASTS), FORECASTS)


def test_forecasts_that_come_after_their_days_open_are_told_to_count_nothing(tmp_path):
    """As of somebody who runs it each evening of Europe: each forecast is late, and none would ever be scored."""
    note_in_diary(tmp_path, "2021-01-27T19:15+00:00", "2021-01-27")
    assert "They were made after that day's open, and do not count" in tell(tmp_path, make_line("A"))
    assert "do not count" not in tell(tmp_path, *(make_line(name) for name in "ABC"))  # A was added this morning
    note_in_diary(tmp_path, "2021-01-28T01:15+00:00", "2021-01-28", "2020-12-28")  # of a symbol that has ended, too
    assert "do not count" not in tell(tmp_path, make_line("A", last="2021-01-27", day="2021-01-28"))


def test_of_many_symbols_the_largest_are_shown_and_the_rest_counted(tmp_path):
    many = [make_line(f"S{number:02}", 1_000 + number) for number in range(50)]
    old = [make_line(f"T{number:02}", last="2020-04-01", day="2020-04-02") for number in range(30)]
    told = tell(tmp_path, *many, *old)
    assert re.findall(r"S\d\d(?=,)", told) == [f"S{number}" for number in range(49, 29, -1)]
    assert "The 20 largest of 50 symbols." in told and "T19 (2020-04-01) and 10 more." in told


@pytest.mark.parametrize("facts", [{"vol_moving_avg": None}, {"vol_moving_avg": 0.0}])
def test_without_a_usual_volume_nothing_is_compared(tmp_path, facts):
    told = tell(tmp_path, make_line("A", **facts))
    assert "600 to 2,400" in told and "more" not in told and "less" not in told


def test_names_are_escaped(tmp_path):
    assert "&lt;b&gt;" in tell(
        tmp_path, make_line("A", name="<b>"), make_line("<b>", last="2021-01-01", day="2021-01-04")
    )


@pytest.mark.parametrize(
    "text", ["{", "[]", "{}", json.dumps(make_line("A", low="1")), json.dumps(make_line("A", date=1))]
)
def test_damaged_forecasts_are_told_and_the_report_is_written(tmp_path, text):
    draft = RunFolder(tmp_path).open_draft("model")
    (draft.path / FILE).write_text(f"{text}\n")
    draft.publish(parameters={}, inputs={})
    run = RUN | gather_facts(RunFolder(tmp_path))
    (verdict,) = [one for one in judge(run) if FILE in one["what"]]
    assert not verdict["kept"] and "train again" in verdict["what"]
    assert "The next trading day" not in write_report(run, None, tmp_path).read_text()
