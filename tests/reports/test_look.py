"""The report in a real browser: on a screen and a phone, by day and by night, on paper, and for a screen reader."""

import nbformat
import pytest

from pipeline.reports.report import write_report
from tests.reports.small_report import RUN, make_full_run, make_notebook, make_scores

PHONE, SCREEN = {"width": 390, "height": 844}, {"width": 1280, "height": 900}

BROKEN = """
cells => cells.filter(cell => {
    const text = document.createRange();
    text.selectNodeContents(cell);
    return /^[0-9,.%]+$/.test(cell.innerText) && text.getClientRects().length > 1;
}).map(cell => cell.innerText)
"""  # numbers on more than one line


@pytest.fixture(scope="module")
def address(tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("run")
    nbformat.write(make_notebook("Volume of a month", "Length of the histories"), folder / "01_small.ipynb")
    before = RUN | {"metrics": make_scores("naive", naive=332_072_900, hist_gradient_boosting=300_000_000)}
    return write_report(make_full_run(), before, folder).as_uri()


@pytest.fixture
def open_report(browser, address):
    pages = []

    def open_page(size: dict, **settings):
        pages.append(browser.new_page(viewport=size, **settings))
        pages[-1].goto(address)
        return pages[-1]

    yield open_page
    for page in pages:
        page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, SCREEN], ids=["phone", "screen"])
def test_nothing_is_out_of_reach_of_those_who_see_less(open_report, size, scheme):
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(open_report(size, color_scheme=scheme))
    assert found.violations_count == 0, found.generate_report()


@pytest.mark.parametrize("width", [320, 390, 768])
def test_nothing_is_cut_on_a_narrow_screen(open_report, width):
    page = open_report({"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator(".wide").count() > 5
    cut = "boxes => boxes.filter(box => box.scrollWidth > box.clientWidth).map(box => box.innerText)"
    assert page.locator(".wide").evaluate_all(cut) == []
    assert page.locator("td.n").evaluate_all(BROKEN) == []


def test_a_verdict_of_several_lines_hangs_beside_its_mark(open_report):
    page = open_report(PHONE)
    lines = "text => [...text.getClientRects()].length && [text.offsetHeight, text.getBoundingClientRect().left]"
    for verdict in page.locator(".verdicts li").all():
        height, left = verdict.locator("span").evaluate(lines)
        assert height > 40  # more than one line
        mark = verdict.locator("b").bounding_box()
        assert left >= mark["x"] + 30


def test_the_lineage_can_be_read_on_a_phone(open_report):
    page = open_report(PHONE)
    texts = page.locator("svg:visible text")
    assert texts.count() >= 15
    heights = texts.evaluate_all("texts => texts.map(text => text.getBoundingClientRect().height)")
    assert min(heights) > 10
    outside = "texts => texts.filter(text => text.getBBox().width > 108).map(text => text.textContent)"
    assert texts.evaluate_all(outside) == []  # each within its box


def test_the_night_is_dark_and_paper_is_white(open_report):
    page = open_report(SCREEN, color_scheme="dark")
    paper = "getComputedStyle(document.body).backgroundColor"
    assert max(map(int, page.evaluate(paper)[4:-1].split(","))) < 60
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate(paper) == "rgb(255, 255, 255)"


def test_a_picture_can_be_enlarged_by_keyboard_and_put_back(open_report):
    page = open_report(SCREEN)
    picture = page.get_by_role("img", name="Volume of a month")
    small = picture.bounding_box()["width"]
    assert picture.evaluate("image => image.naturalWidth") > 3 * small  # sharp on any screen
    page.get_by_role("link", name="Volume of a month").focus()
    page.keyboard.press("Enter")
    page.wait_for_function("document.querySelector('figure:target')")
    assert picture.bounding_box()["width"] > 2 * small
    page.locator("figure:target").get_by_role("link", name="Back").click()
    page.wait_for_function("!document.querySelector('figure:target')")
    assert picture.bounding_box()["width"] == small
