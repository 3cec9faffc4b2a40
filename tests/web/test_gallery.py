"""The gallery in a real Chromium: every macro in three languages, two themes and three widths.

`GALLERY_SHOTS=folder` keeps a picture of each page.
"""

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from flask import Response, make_response, request
from playwright.sync_api import Browser, Page
from werkzeug.serving import make_server

from tests.chromium import SPILLS, chromium
from tests.web.looks import look_app

WIDTHS = [360, 768, 1440]
SHOTS = os.environ.get("GALLERY_SHOTS", "")
SAVED: list[dict[str, str]] = []
SENT: list[dict[str, str]] = []

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Serve the gallery, and a place that saves single fields."""
    app = look_app()

    @app.post("/dev/gallery/save")
    def save() -> Response:
        if SAVED and SAVED[-1].get("break"):
            SAVED.pop()
            return make_response("", 503)
        SAVED.append(dict(request.form))
        answer = make_response("<span>Saved at 10:02</span>")
        answer.headers["X-Revision"] = str(int(request.form["revision"]) + 1)
        return answer

    @app.post("/dev/gallery/slow")
    def slow() -> Response:
        SENT.append(dict(request.form))
        time.sleep(0.4)
        # The browser stays on the page that sent this.
        return make_response("", 204)

    app.extensions["csrf"].exempt(save)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """Give a fresh page that fails the test when the page complains on its console."""
    context = browser.new_context(locale="en")
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text) if "Content Security Policy" in message.text else None)
    yield page
    context.close()
    assert complaints == []


def choose(page: Page, address: str, lang: str, theme: str) -> None:
    """Set language and theme as the reader's cookies."""
    page.context.add_cookies([{"name": name, "value": value, "url": address} for name, value in (("lang", lang), ("theme", theme))])


@pytest.mark.slow
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("lang", ["en", "fr", "ar"])
@pytest.mark.parametrize("path", ["/dev/gallery", "/dev/public", "/dev/card"])
def test_page_is_accessible_and_nothing_is_cut(page: Page, address: str, path: str, lang: str, theme: str) -> None:
    choose(page, address, lang, theme)
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        page.goto(address + path)
        if SHOTS:
            page.screenshot(path=Path(SHOTS) / f"{path.rsplit('/', 1)[1]}-{lang}-{theme}-{width}.png", full_page=True)

        assert page.evaluate(SPILLS) == [], width
        violations = [(found["id"], found["nodes"][0]["html"][:200]) for found in Axe().run(page).response["violations"]]
        assert violations == [], width


def test_check_for_clipped_text_can_fail(page: Page, address: str) -> None:
    page.set_viewport_size({"width": 360, "height": 900})
    page.goto(address + "/dev/gallery")
    page.evaluate("document.querySelector('.btn').textContent = 'x'.repeat(90)")
    assert page.evaluate(SPILLS) != []


@pytest.mark.parametrize(("lang", "width"), [(lang, width) for lang in ("en", "fr", "ar") for width in (320, 480, 1024, 1151, 1152, 1280, 1360)])
def test_bar_fits_and_leads_everywhere(page: Page, address: str, lang: str, width: int) -> None:
    choose(page, address, lang, "light")
    page.set_viewport_size({"width": width, "height": 700})
    page.goto(address + "/dev/public")

    shown = {name: page.locator(name).is_visible() for name in (".nav-main", ".menu-all")}
    assert sorted(shown.values()) == [False, True]
    assert page.evaluate("document.querySelector('.bar').scrollWidth") <= width


def test_menu_closes_with_escape_and_gives_the_focus_back(page: Page, address: str) -> None:
    page.goto(address + "/dev/public")
    menu = page.locator("details.menu").first
    menu.locator("summary").click()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "English"

    page.keyboard.press("Escape")

    assert menu.get_attribute("open") is None
    assert page.evaluate("document.activeElement.tagName") == "SUMMARY"


def test_menu_closes_with_a_click_elsewhere(page: Page, address: str) -> None:
    page.goto(address + "/dev/public")
    menu = page.locator("details.menu").first
    menu.locator("summary").click()
    page.locator("h1").click()
    assert menu.get_attribute("open") is None


def test_language_is_chosen_without_scripts(browser: Browser, address: str) -> None:
    context = browser.new_context(java_script_enabled=False, locale="en")
    page = context.new_page()
    page.goto(address + "/dev/public?a=1")
    page.locator("details.menu").first.locator("summary").click()
    page.get_by_role("button", name="العربية").click()
    assert (page.url, page.locator("html").get_attribute("dir")) == (address + "/dev/public?a=1", "rtl")
    context.close()


def test_double_click_sends_once_and_the_button_keeps_its_width(page: Page, address: str) -> None:
    SENT.clear()
    page.goto(address + "/dev/gallery")
    form = page.locator("#review form")
    form.evaluate("form => { form.action = '/dev/gallery/slow'; }")
    button = form.get_by_role("button", name="Go on later")
    before = button.bounding_box()
    # The second click and the Enter key come while the first answer is on its way.
    button.evaluate("b => { b.click(); setTimeout(() => b.click(), 30); setTimeout(() => b.form.requestSubmit(), 60); }")
    page.wait_for_timeout(1500)

    assert [sent["later"] for sent in SENT] == ["1"]
    assert button.get_attribute("aria-busy") == "true"
    assert button.bounding_box() == before


def test_form_that_another_script_refused_can_be_sent_again(page: Page, address: str) -> None:
    SENT.clear()
    page.goto(address + "/dev/gallery")
    form = page.locator("#review form")
    form.evaluate("form => { form.action = '/dev/gallery/slow'; form.addEventListener('submit', (e) => e.preventDefault(), {once: true}); }")
    button = form.get_by_role("button", name="Go on later")
    button.click()
    assert button.get_attribute("aria-busy") is None

    button.click()
    page.wait_for_timeout(700)

    assert len(SENT) == 1


def test_fields_save_themselves_one_at_a_time_with_the_servers_word(page: Page, address: str) -> None:
    SAVED.clear()
    page.goto(address + "/dev/gallery")
    form = page.locator("#review form")
    form.locator("#computing-3").check(force=True)
    form.locator("#private").fill("Für später: ملاحظة")
    page.wait_for_function(
        "() => document.querySelector('#review [data-autosave-status]').textContent === 'Saved at 10:02' && document.querySelector('#review form').dataset.revision === '5'"
    )

    assert [(saved["field"], saved[saved["field"]], saved["revision"]) for saved in SAVED] == [("computing", "4", "3"), ("private", "Für später: ملاحظة", "4")]
    assert all(saved.keys() == {"csrf_token", "field", "revision", saved["field"]} for saved in SAVED)


def test_lost_connection_is_told_and_tried_again(page: Page, address: str) -> None:
    SAVED.clear()
    SAVED.append({"break": "yes"})
    page.goto(address + "/dev/gallery")
    page.locator("#review #private").fill("kept")
    status = page.locator("#review [data-autosave-status]")
    page.wait_for_function("() => document.querySelector('#review [data-autosave-status]').textContent.startsWith('Not saved yet')")
    assert SAVED == []

    page.wait_for_function("() => document.querySelector('#review [data-autosave-status]').textContent === 'Saved at 10:02'", timeout=5000)

    assert status.text_content() == "Saved at 10:02"
    assert [saved["private"] for saved in SAVED] == ["kept"]


def test_counter_counts_characters_as_the_server_does(page: Page, address: str) -> None:
    page.goto(address + "/dev/gallery")
    page.locator("#review #comment").fill("ab\nج🙂" + "x" * 1000)
    assert page.locator("[data-count-of=comment]").text_content() == "1\u202f005"


def test_poll_keeps_the_focus_and_stops_while_nobody_looks(page: Page, address: str) -> None:
    answers: list[str] = []

    def answer(route: Any) -> None:
        answers.append(route.request.url)
        route.fulfill(body=f'<p>At {len(answers)}</p><button class="btn" id="stop">Stop</button>', content_type="text/html")

    page.route("**/panel", answer)
    page.goto(address + "/dev/public")
    page.evaluate(
        """() => {
          const panel = document.createElement('div');
          panel.id = 'panel';
          panel.innerHTML = '<p>At 0</p><button class="btn" id="stop">Stop</button>';
          for (const [name, value] of [['get', '/panel'], ['trigger', 'every 200ms'], ['swap', 'innerMorph']]) panel.setAttribute('data-hx-' + name, value);
          document.querySelector('main').append(panel);
          htmx.process(panel);
          document.getElementById('stop').focus();
        }"""
    )
    page.wait_for_function("() => document.querySelector('#panel p').textContent === 'At 2'")
    assert page.evaluate("document.activeElement.id") == "stop"

    page.evaluate("Object.defineProperty(document, 'hidden', {get: () => true})")
    page.wait_for_timeout(300)
    count = len(answers)
    page.wait_for_timeout(700)
    assert len(answers) == count


def test_failed_poll_leaves_the_panel_as_it_was(page: Page, address: str) -> None:
    page.route("**/panel", lambda route: route.fulfill(status=503, body="<p>Broken</p>", content_type="text/html"))
    page.goto(address + "/dev/public")
    page.evaluate(
        """() => {
          document.querySelector('main').insertAdjacentHTML('beforeend', '<p id="stale" hidden>Stale</p>'
            + '<div id="panel" data-hx-get="/panel" data-hx-trigger="every 200ms" data-hx-swap="innerMorph" data-stale-note="stale"><p>At 0</p></div>');
          htmx.process(document.getElementById('panel'));
        }"""
    )
    page.wait_for_function("() => !document.getElementById('stale').hidden")
    assert page.locator("#panel").inner_text() == "At 0"
