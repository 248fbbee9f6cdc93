"""What a training needs of its days, which day a test begins on, and what is said where that cannot be."""

from datetime import date, timedelta

import pandas as pd
import pytest

from pipeline.errors import InputError, ParameterError
from pipeline.forecasting.periods import EPOCH, go_back, plan_periods
from pipeline.parameters import check_parameters

FIRST = date(2000, 1, 1)


def make_days(first: date, count: int, state: str = "used", traded: int = 5) -> pd.DataFrame:
    """Rows by day and state, as 03_train counts them: five a day."""
    days = [first + timedelta(day) for day in range(count)]
    return pd.DataFrame({"Date": days, "state": state, "rows": 5, "traded": traded})


def test_periods_are_in_order_and_refuse_a_test_without_rows():
    daily = make_days(FIRST, 7_671)  # until the end of 2020
    periods = plan_periods("2018-01-01", daily)
    assert str(periods.calibration_from) == "2015-01-01"
    assert periods.ends[-1] == periods.test_day and periods.ends == sorted(set(periods.ends))
    assert (periods.last, periods.refit_ends[-2]) == (date(2020, 12, 31), (date(2018, 1, 1) - EPOCH).days)
    assert [periods.name(date(year, 1, 1)) for year in (2014, 2015, 2018)] == ["1 train", "2 calibration", "3 test"]
    for day in ("2021-01-01", "2003-01-01", "0001-01-01"):
        with pytest.raises(ParameterError, match="choose a day from 2003-01-02 to 2020-12-31"):
            plan_periods(day, daily)


def test_auto_tests_on_the_last_fifth_of_the_days():
    check_parameters(TEST_FROM="auto")
    lone = make_days(date(1900, 1, 1), 1)  # a misprint must not stretch the fifth
    periods = plan_periods("auto", pd.concat([lone, make_days(FIRST, 5_000)]))
    assert periods.test_from == FIRST + timedelta(3_999)


def test_history_that_is_too_short_is_told_in_numbers():
    with pytest.raises(InputError, match=r"more than 3 years: .* 252 days .* from 2000-01-01 to 2000-09-08"):
        plan_periods("auto", make_days(FIRST, 252))
    with pytest.raises(InputError, match="more than 3 years"):
        plan_periods("2000-06-01", make_days(FIRST, 252))
    daily = make_days(FIRST, 1_200)
    with pytest.raises(ParameterError, match=r"auto, here 2002-08-18, .* choose a day from 2003-01-02 to 2003-04-14"):
        plan_periods("auto", daily)
    assert plan_periods("2003-02-01", daily).test_from == date(2003, 2, 1)


def test_years_without_rows_in_the_middle_are_no_calibration():
    daily = pd.concat([make_days(FIRST, 2_000), make_days(date(2015, 1, 1), 2_000)])
    with pytest.raises(ParameterError, match="choose a day from"):
        plan_periods("2014-01-01", daily)


@pytest.mark.parametrize(
    ("daily", "told"),
    [
        (make_days(FIRST, 29, "no features yet", 0), "145 no features yet"),
        (make_days(FIRST, 4_000, "left out by a flag"), "20,000 left out by a flag"),
        (make_days(FIRST, 4_000, traded=0), "20,000 without a Volume in their window"),
        (make_days(FIRST, 0), "none"),
    ],
    ids=["no full window", "all flagged", "no Volume", "no rows"],
)
def test_rows_that_teach_nothing_are_told_by_kind(daily, told):
    with pytest.raises(InputError, match=rf"Nothing can be learned from the rows of features: {told}\. .*3 years"):
        plan_periods("auto", daily)


def test_a_leap_day_has_a_day_three_years_before():
    assert go_back(date(2012, 2, 29), 3) == date(2009, 2, 28)
