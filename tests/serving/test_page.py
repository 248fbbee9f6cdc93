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
