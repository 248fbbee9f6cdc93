"""The page in a real browser, as a visitor uses it."""

import pytest


@pytest.fixture
def page(browser, server):
    """The page, held to have logged nothing to the console by the end."""
    page = browser.new_page(viewport={"width": 1200, "height": 900})
    said = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(server.url)
    yield page
    page.close()
    # A browser logs each answer that is not 2xx by itself.
    assert [text for text in said if "status of 40" not in text] == []


def test_predict_by_keyboard(page):
    page.focus("#vol_moving_avg")
    page.keyboard.press("Control+A")
    page.keyboard.type("11500")
    page.keyboard.press("Tab")
    page.keyboard.type("25")
    page.keyboard.press("Enter")
    page.wait_for_selector("#predict-answer .number")
    assert "10,580" in page.inner_text("#predict-answer")


def test_the_first_prediction_is_of_a_day_as_training_has_seen(page):
    """Whoever presses the button without a thought gets an answer without a warning."""
    page.click("text=Predict")
    page.wait_for_selector("#predict-answer .number")
    assert "Outside" not in page.inner_text("#predict-answer")


@pytest.mark.parametrize("text", ["20,000,000", "20 000 000", "20\u202f000\u202f000"])
def test_numbers_are_taken_as_the_page_prints_them(page, text):
    page.fill("#vol_moving_avg", text)
    page.click("text=Predict")
    page.wait_for_selector("#predict-answer .number")
    assert "18,400,000" in page.inner_text("#predict-answer")


def test_a_name_finds_its_symbol(page):
    page.fill("#symbol", "apple")
    page.press("#symbol", "Enter")
    page.wait_for_selector("#chart rect.bar")
    assert "AAPL, Apple Inc." in page.inner_text("#forecast-answer")


def test_a_text_that_may_mean_several_symbols_offers_them(page):
    page.fill("#symbol", "")
    page.evaluate("document.getElementById('symbol').required = false")
    page.press("#symbol", "Enter")
    page.click("#forecast-answer button:has-text('GSPC')")
    page.wait_for_selector("#chart rect.bar")
    assert "^GSPC, on 2013-03-11" in page.inner_text("#forecast-answer")


def test_a_symbol_whose_prices_have_ended_is_told_as_such(page):
    form, answer = page.locator("#forecast-form"), page.locator("#forecast-answer")
    assert form.get_attribute("data-day") == "2013-03-11"
    page.fill("#symbol", "AAPL")
    page.press("#symbol", "Enter")
    page.wait_for_selector("#chart rect.bar")
    assert "prices end" not in answer.inner_text()
    form.evaluate("form => { form.dataset.day = '2013-04-11'; }")  # as if another symbol had gone on for a month
    page.press("#symbol", "Enter")
    page.wait_for_selector("#forecast-answer:has-text('its prices end before those of others')")


def test_an_answer_that_comes_late_does_not_take_the_place_of_a_newer_one(page):
    """As on a telephone whose first question hangs."""
    held = []
    page.route("**/forecast/AAPL", lambda route: held.append(route))
    page.fill("#symbol", "AAPL")
    with page.expect_request("**/forecast/AAPL"):
        page.press("#symbol", "Enter")
    page.fill("#symbol", "^GSPC")
    page.press("#symbol", "Enter")
    page.wait_for_selector("#chart rect.bar")
    with page.expect_response("**/forecast/AAPL"):
        held[0].continue_()
    page.wait_for_timeout(300)
    assert "^GSPC, on 2013-03-11" in page.inner_text("#forecast-answer")
    assert page.inner_text("#chart-text").startswith("^GSPC")


def test_the_code_can_be_copied_without_a_clipboard(page):
    """As on a page that came by http from another machine."""
    page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    page.click(".copy >> nth=0")
    page.wait_for_selector(".copy:has-text('Ctrl+C')")
    assert page.evaluate("getSelection().toString()").startswith("curl 'http://")


def test_each_route_is_shown_with_an_example_and_its_answer(browser, server):
    page = browser.new_page()
    page.goto(server.url + "/docs")
    page.wait_for_selector(".answered:not(:empty) >> nth=10")  # they are asked one after the other
    titles, answers = page.locator("h2").all_inner_texts(), page.locator(".answered").all_inner_texts()
    page.close()
    assert [title.split()[-1] for title in titles[:3]] == ["/predict", "/predict", "/forecast/{symbol}"]
    assert len(answers) == 11
    assert all(answer.startswith("200  ") for answer in answers), answers


def test_an_address_that_leads_nowhere_is_a_page_for_people(browser, server):
    page = browser.new_page()
    page.goto(server.url + "/no/such/page")
    page.click("text=All of the API")
    assert page.url == server.url + "/docs"
    page.close()


def test_an_error_says_what_to_do(page):
    page.fill("#vol_moving_avg", "many")
    page.click("text=Predict")
    page.wait_for_selector("#predict-answer .error")
    assert "vol_moving_avg must be a number" in page.inner_text("#predict-answer")


def test_forecast_with_completion_and_chart(page):
    page.fill("#symbol", "app")
    page.wait_for_selector("#symbols option[value=AAPL]:only-child", state="attached")
    page.fill("#symbol", "AAPL")
    page.press("#symbol", "Enter")
    page.wait_for_selector("#forecast-answer .number")
    assert "1,500,000" in page.inner_text("#forecast-answer")
    assert page.locator("#chart rect.bar").count() == 66
    assert "2013-03-11" in page.inner_text("#chart")


def test_a_narrow_screen_does_not_scroll_sideways(page):
    page.set_viewport_size({"width": 320, "height": 640})
    page.fill("#symbol", "AAPL")
    page.press("#symbol", "Enter")
    page.wait_for_selector("#chart rect.bar")
    assert page.evaluate("document.documentElement.scrollWidth") <= 320


def test_nothing_comes_from_elsewhere(browser, server):
    page = browser.new_page()
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    for path in ("/", "/docs"):
        page.goto(server.url + path)
    page.close()
    assert asked
    assert all(address.startswith(server.url) for address in asked)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_is_out_of_reach_of_those_who_see_less(browser, server, width, scheme):
    from axe_playwright_python.sync_playwright import Axe

    page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page.goto(server.url)
    page.fill("#vol_moving_avg", "1")
    page.click("text=Predict")
    page.wait_for_selector(".warning")
    page.fill("#symbol", "AAPL")
    page.press("#symbol", "Enter")
    page.wait_for_selector("#chart rect.bar")
    found = [Axe().run(page)]
    page.goto(server.url + "/docs")
    page.wait_for_selector(".answered:not(:empty) >> nth=7")
    found.append(Axe().run(page))
    page.goto(server.url + "/nothing")
    found.append(Axe().run(page))
    page.close()
    assert [one.violations_count for one in found] == [0, 0, 0], "".join(one.generate_report() for one in found)


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_all_of_a_phone_s_page_is_within_reach(browser, server, path):
    """Nothing is wider than the screen, but for what scrolls by itself and can be reached by the keyboard."""
    page = browser.new_page(viewport={"width": 390, "height": 800})
    page.goto(server.url + path)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    wide = "boxes => boxes.filter(box => box.scrollWidth > box.clientWidth + 1 && box.tabIndex < 0).map(box => box.id)"
    assert page.locator("main div, main pre, main table, main section").evaluate_all(wide) == []
    page.close()
