"""The tables of models tell how good intervals and forecasts are, as far as training noted it."""

import re

import pytest
from small_report import make_scores

from pipeline.reports.model_tables import models_table

NOTED = {
    "width": 1.5,
    "pinball": 0.25,
    "coverage_by_size": {"1": 0.78, "10": 0.82},
    "coverage_by_year": {"2018": 0.795},
    "log_r2": {"all days": 0.102, "above 20 million dollars a day": 0.27},
}


def show(**noted: object) -> str:
    scores = make_scores("grid", naive=100, grid=90)["same_day"] | noted
    return models_table({"same_day": scores}, {}, "same_day")


def test_intervals_are_told_by_group_with_their_width_and_loss():
    told = show(**NOTED)
    assert "80.0% of them lie in the champion's 80% interval: 78% to 82% by decile of size, 80% to 80% by year." in told
    assert "its mean width is 1.50, its pinball loss 0.250." in told
    assert "all days 10.2%, above 20 million dollars a day 27.0%." in told


def test_bars_of_both_questions_are_of_one_scale():
    scores = make_scores("grid", naive=100, grid=95)
    scores["next_day"] = make_scores("xgboost", naive=100, xgboost=80)["same_day"]
    widths = {task: re.findall(r"width:([\d.]+)%", models_table(scores, {}, task)) for task in scores}
    assert widths == {"same_day": ["12.5"], "next_day": ["50.0"]}


def test_it_is_said_what_naive_is_where_it_was_judged():
    assert "The naive answer is the mean of the last 30 days" in show()
    assert "naive" not in models_table(make_scores("grid", grid=90), {}, "same_day")


def test_what_older_trainings_did_not_note_is_left_out():
    told = show()
    assert "80.0% of them lie in the champion's 80% interval." in told
    assert "pinball" not in told and "R²" not in told


@pytest.mark.parametrize("damage", [None, 3, "much", [0.8], {"1": "much"}, {"1": None}, {}])
def test_odd_entries_are_left_out(damage):
    told = show(coverage_by_size=damage, log_r2=damage, width=damage)
    assert "80.0% of them lie in the champion's 80% interval." in told
    assert "R²" not in told and "pinball" not in told
