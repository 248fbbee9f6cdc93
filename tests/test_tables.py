"""Tables as readers of the notebooks see them."""

import pandas as pd

from pipeline.tables import show

FRAME = pd.DataFrame(
    {"Symbol": ["AAPL", "<b>"], "rows": [3270, 11_456_230_000], "mean": [826_172_000.0, float("nan")]},
    index=["first", "second"],
)


def test_numbers_have_separators_and_what_is_not_known_is_blank():
    text = repr(show(FRAME))
    assert "11,456,230,000" in text
    assert "826,172,000.00" in text
    assert "nan" not in text.lower()


def test_in_a_notebook_text_stands_at_the_left_and_cannot_be_markup():
    html = show(FRAME)._repr_html_()
    assert ".col0 {\n  text-align: left" in html
    assert ".col1" not in html.split("</style>")[0]
    assert "&lt;b&gt;" in html


def test_no_row_is_a_sentence():
    assert repr(show(FRAME[:0], empty="nothing was refused")) == "nothing was refused"
    assert "nothing was refused" in show(FRAME[:0], empty="nothing was refused")._repr_html_()
