"""Which rows count as changed at their source since the run before."""

from datetime import date, timedelta

import pandas as pd
import pyarrow as pa
import pytest

from pipeline.datasets.contract import PRICES
from pipeline.datasets.parts import keep_attempts, write_attempt
from pipeline.datasets.run_folder import RunFolder
from pipeline.ingest.revisions import find_revisions

DAYS = [date(2021, 1, 4) + timedelta(days=number) for number in range(12)]


def make_prices(symbol: str, shares: float = 1.0, **changed: float) -> pd.DataFrame:
    """Rows of a symbol as they are told in so many times as many shares, and what is changed on the sixth day."""
    rows = [(symbol, day, (100 + place) / shares, int((9_001 + 7 * place) * shares)) for place, day in enumerate(DAYS)]
    frame = pd.DataFrame(rows, columns=["Symbol", "Date", "Close", "Volume"])
    for name in ("Open", "High", "Low", "Adj Close"):
        frame[name] = frame["Close"]
    for name, factor in changed.items():
        frame.loc[5, name] = frame[name].dtype.type(frame.loc[5, name] * factor)
    return frame.assign(**{"Security Name": None})


@pytest.fixture
def compare(tmp_path):
    """`compare(before, after)`: the revisions between two versions of prices."""

    def publish(*parts: pd.DataFrame):
        draft = RunFolder(tmp_path).open_draft("prices")
        table = pa.Table.from_pandas(pd.concat(parts)[PRICES.names], PRICES, preserve_index=False)
        found = keep_attempts(draft.attempts, [write_attempt(table, draft.attempts)])
        return draft.publish(found, parameters={}, inputs={}, schema=PRICES)

    def run(before: list[pd.DataFrame], after: list[pd.DataFrame]) -> pd.DataFrame:
        return find_revisions(publish(*before), publish(*after), str(DAYS[-1]))

    return run


def test_a_corrected_row_is_one_whatever_was_corrected(compare):
    before = [make_prices("A"), make_prices("B"), make_prices("C")]
    found = compare(before, [make_prices("A", Volume=1.5), make_prices("B", Close=1.01), make_prices("C")])
    assert found["Symbol"].tolist() == ["A", "B"] and set(found["Date"]) == {DAYS[5]}
    assert found["Volume before"].tolist() == [9_036, 9_036] and found["Close"].tolist() == [105, 105 * 1.01]


@pytest.mark.parametrize("ratio", [4.0, 1.5, 0.1])
def test_a_split_is_no_revision_and_hides_none(compare, ratio):
    before = [make_prices("A"), make_prices("B")]
    assert compare(before, [make_prices("A", ratio), make_prices("B")]).empty
    found = compare(before, [make_prices("A", ratio, Volume=1.5), make_prices("B")])
    assert found[["Symbol", "Date"]].values.tolist() == [["A", DAYS[5]]]
    assert found["Volume before"][0] == pytest.approx(9_036 * ratio, abs=1)
    assert found["Close before"][0] == pytest.approx(found["Close"][0])


def test_prices_that_fell_without_a_split_are_all_told(compare):
    """As where a company has given away a part of itself: the Volumes stay."""
    found = compare([make_prices("A")], [make_prices("A", 2.0).assign(Volume=make_prices("A")["Volume"])])
    assert len(found) == len(DAYS)


def test_without_a_run_before_there_is_none(tmp_path, compare):
    compare([make_prices("A")], [make_prices("A")])
    assert find_revisions(None, RunFolder(tmp_path).current("prices"), str(DAYS[-1])).empty
    assert find_revisions(None, RunFolder(tmp_path).current("prices"), "").empty
