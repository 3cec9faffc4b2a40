"""What people do, in their words: sign in, launch, wait, stop. Each step uses the pages alone."""

import re
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

from portal.demo.people import DemoPerson
from tests.journeys.browser import Browser, PageError
from tests.journeys.world import World


@dataclass(frozen=True)
class Launched:
    """A session as its page names it."""

    number: int

    @property
    def server(self) -> str:
        """Return the hub's name of its server."""
        return f"s-{self.number}"

    @property
    def path(self) -> str:
        """Return its page."""
        return f"/sessions/{self.number}"


def sign_in(world: World, person: DemoPerson, *, language: str = "en") -> Browser:
    """Sign a demo person in and return their browser."""
    return sign_in_as(world, person.email, person.password, language=language)


def sign_in_as(world: World, email: str, password: str, *, language: str = "en") -> Browser:
    """Sign in with the form; the language is set by the person's own choice afterwards."""
    browser = Browser(world.portal_url, language=language)
    browser.get("/sign-in").submit({"email": email, "password": password}, having="password")
    if not browser.has_form(action="/sign-out"):
        raise PageError(f"{email} could not sign in: {browser.text[:400]}")
    choose_language(browser, language)
    return browser


def choose_language(browser: Browser, code: str) -> None:
    """Choose the language in the menu of the page."""
    browser.submit(button=f"/language/{code}", having="next")


def launch(browser: Browser, *, profile: str, hours: int = 1, project: str = "", label: str = "") -> Launched:
    """Look at the offer and press Start."""
    choice = f"/sessions/new?profile={profile}&hours={hours}" + (f"&project={project}" if project else "")
    browser.get(choice).submit({"label": label}, having="label", method="post")
    return launched(browser)


def launched(browser: Browser) -> Launched:
    """Return the session whose page the browser shows."""
    found = re.fullmatch(r"/sessions/(\d+)", browser.path)
    if found is None:
        raise PageError(f"no session came of it at {browser.url}: {browser.text[:600]}")
    return Launched(int(found[1]))


def wait_until_open(browser: Browser, session: Launched, *, timeout_s: float = 90) -> str:
    """Wait for the link that opens JupyterLab and return it."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        browser.get(session.path)
        found = browser.links(containing=f"/{session.server}/")
        if found:
            return found[0]
        if "What it took" in browser.text:
            raise PageError(f"{session.server} ended before it was open: {browser.text[:600]}")
        time.sleep(0.25)
    raise PageError(f"{session.server} did not open in {timeout_s} s: {browser.text[:600]}")


def server_url(open_url: str, session: Launched) -> str:
    """Return the address of the server behind the link that opens it."""
    before, _, _ = open_url.partition(f"/{session.server}/")
    return f"{before}/{session.server}"


def person_slug(open_url: str) -> str:
    """Return the hub's name of the person from a link that opens their server."""
    return urlsplit(open_url).path.split("/")[2]


def stop(browser: Browser, session: Launched) -> None:
    """Press Stop on the session's page."""
    browser.get(session.path).submit(action=f"{session.path}/stop")


def wait_until_settled(browser: Browser, session: Launched, *, timeout_s: float = 60) -> Browser:
    """Wait until the page shows what the session took."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if "What it took" in browser.get(session.path).text:
            return browser
        time.sleep(0.25)
    raise PageError(f"{session.server} was not settled in {timeout_s} s: {browser.text[:600]}")
