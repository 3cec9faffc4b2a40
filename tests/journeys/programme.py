"""The programme's part of the journey: a founder from sign-up to award, with the people on the other side."""

import re
import time

from portal.demo.people import ADMINISTRATOR, REVIEWER, SECOND_REVIEWER, STAFF
from portal.demo.programme import OPEN_CALL
from portal.incubation import defaults
from portal.incubation.rules.answers import field_name
from tests.journeys.browser import Browser, PageError
from tests.journeys.people import sign_in, sign_in_as
from tests.journeys.world import World

EMAIL = "zineb@example.org"
PASSWORD = "blue-doors-of-chefchaouen"
VENTURE = "Vine mildew"
AWARD = "150"


class Founder:
    """Somebody new."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.browser = Browser(world.portal_url)
        self.number = 0
        self.project = ""
        self.purchase = 0
        self.email = EMAIL

    def sign_up(self) -> str:
        """Register, confirm the address with the mail's link, sign in."""
        page = self.browser.get("/").follow(containing="/sign-up")
        fields = {"email": EMAIL, "password": PASSWORD}
        form = page.form(having="password")
        fields |= {name: value for name, value in (("display_name", "زينب الخطابي"), ("password_confirm", PASSWORD)) if name in form.names()}
        page.submit(fields, having="password")
        self.browser.get(_link_in_mail(self.world, EMAIL, "/confirm/")).submit(action="/confirm")
        self.browser.close()
        self.browser = sign_in_as(self.world, EMAIL, PASSWORD)
        return "address confirmed by mail"

    def apply(self) -> str:
        """Begin, let the draft save itself field by field, resume elsewhere, submit twice, read the receipt."""
        page = self.browser.get("/calls").follow(containing=f"/calls/{OPEN_CALL}")
        page.submit(action=f"/calls/{OPEN_CALL}/apply")
        found = re.search(r"/applications/(\d+)", page.path)
        if found is None:
            raise PageError(f"no draft came of it: {page.url}")
        self.number = int(found[1])
        answers = {field_name(key): value for key, value in (defaults.SAMPLE_ANSWERS | {"gpu_credits": "200", "title": VENTURE}).items()}
        page.get(f"/applications/{self.number}/edit").submit(answers, having=field_name("title"), button="save")
        elsewhere = sign_in_as(self.world, EMAIL, PASSWORD)
        kept = elsewhere.get(f"/applications/{self.number}/edit").form(having=field_name("title")).values()
        assert kept[field_name("title")] == [VENTURE], kept[field_name("title")]
        elsewhere.close()
        page.get(f"/applications/{self.number}/edit").submit({"consent": "y"}, having=field_name("title"), button="submit")
        assert page.path.endswith("/receipt"), page.url
        digest = re.search(r"\b[0-9a-f]{64}\b", page.html)
        assert digest is not None, page.text[:500]
        return f"application {self.number}, resumed on a second device, receipt {digest[0][:12]}…"

    def read_award(self) -> str:
        """Read the decision, find the venture's project, and its credits in the wallet."""
        page = self.browser.get(f"/applications/{self.number}/decision")
        assert "150.00" in page.text, page.text[:800]
        page.get("/ventures").follow(containing="/ventures/")
        found = re.search(r"\b(p-\d+)\b", page.html)
        assert found is not None, page.url
        self.project = found[1]
        page.get(f"/wallets/{self.project}")
        assert "150.00" in page.text, page.text[:800]
        return f"{self.project} has 150.00 credits from the call's fund"


def assign(world: World, founder: Founder) -> str:
    """Let staff give the application to two reviewers."""
    browser = sign_in(world, STAFF)
    page = browser.get(f"/programme/calls/{OPEN_CALL}/applications").follow(containing=f"/programme/applications/{founder.number}")
    form = page.form(action="/reviewers")
    choices = [control.value for control in form.fields if control.kind == "checkbox"]
    assert len(choices) >= 2, choices
    chosen = [_value_beside(page.html, person.name) for person in (REVIEWER, SECOND_REVIEWER)]
    page.submit({next(control.name for control in form.fields if control.kind == "checkbox"): chosen}, action="/reviewers")
    browser.close()
    return "two reviewers, none in conflict"


def review(world: World, founder: Founder) -> str:
    """Let both reviewers score and send."""
    for person, score in ((REVIEWER, "4"), (SECOND_REVIEWER, "5")):
        browser = sign_in(world, person)
        page = browser.get("/reviews")
        number = _review_of(page, founder)
        page.get(f"/reviews/{number}")
        scores = {criterion["key"]: score for criterion in defaults.RUBRIC["criteria"]}
        page.submit(scores | {"comment_applicant": "Clear plan, honest numbers."}, having="comment_applicant", button="send")
        browser.close()
    return "every criterion scored twice"


def decide(world: World, founder: Founder) -> str:
    """Let staff prepare the decision and another person release it."""
    browser = sign_in(world, STAFF)
    page = browser.get(f"/programme/applications/{founder.number}/decision")
    fields = {
        "outcome": "accept",
        "reason": "Two good reviews.",
        "venture_name": VENTURE,
        "awarded": AWARD,
        "why": "One run less than asked: reuse the first one.",
    }
    page.submit({name: value for name, value in fields.items() if name in page.form(having="outcome").names()}, having="outcome")
    browser.close()
    second = sign_in(world, ADMINISTRATOR)
    page = second.get(f"/programme/applications/{founder.number}")
    page.submit(action="/release")
    again = second.get(f"/programme/applications/{founder.number}")
    assert not again.has_form(action="/release"), "a released decision can be released again"
    second.close()
    assert VENTURE in mail_to(world, EMAIL, VENTURE)
    return "prepared by one, released by another; the applicant has mail"


def _review_of(page: Browser, founder: Founder) -> int:
    for href in page.links(containing="/reviews/"):
        found = re.search(r"/reviews/(\d+)$", href)
        if found and VENTURE in page.get(f"/reviews/{found[1]}").text:
            return int(found[1])
        page.get("/reviews")
    raise PageError("the review is not on the reviewer's list")


def _value_beside(html: str, name: str) -> str:
    """Return the value of the checkbox whose row names a person."""
    for match in re.finditer(r'<input[^>]*type="checkbox"[^>]*value="([^"]+)"[^>]*>(.{0,400}?)(?=<input|</fieldset|</form)', html, re.DOTALL):
        if name in match[2]:
            return match[1]
    raise PageError(f"{name} cannot be chosen")


def mail_to(world: World, address: str, containing: str, *, timeout_s: float = 20) -> str:
    """Return the text of the newest mail to an address that contains a text."""
    browser = Browser(world.portal_url)
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        for href in browser.get("/mail").links(containing="/mail/"):
            mail = browser.get(href)
            if address in mail.text and containing in mail.html:
                return mail.html
            browser.get("/mail")
        time.sleep(0.3)
    raise PageError(f"no mail to {address} with {containing!r}")


def _link_in_mail(world: World, address: str, containing: str) -> str:
    found = re.search(rf"https?://[^\s\"'<>]*{containing}[^\s\"'<>]*", mail_to(world, address, containing))
    if found is None:
        raise PageError(f"the mail has no link with {containing!r}")
    return found[0].replace("&amp;", "&")
