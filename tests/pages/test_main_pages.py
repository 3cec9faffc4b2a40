"""The pages of the main job in a real Chromium: three languages, a phone and a desk, light and dark.

Launch, a running session, its statement and a lesson, on the demo world: nothing cut, nothing beside the page, no
direction mixed up, no axe violation, no complaint on the console. `PAGE_SHOTS=folder` keeps a picture of each.
"""

import os
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from flask import Flask
from playwright.sync_api import Browser, Page
from sqlalchemy import Engine, select, text
from sqlalchemy.orm import Session
from werkzeug.serving import make_server

from portal.compute import queries as compute
from portal.compute.models import ComputeSession
from portal.compute.operations import endings, incidents, observations, prices, starts, tickets
from portal.compute.operations import sessions as operations
from portal.compute.states import IncidentKind
from portal.core import clock, database
from portal.core.access import Actor
from portal.core.ids import new_id
from portal.core.quantities import credits_ucr
from portal.credits import queries as credit
from portal.credits.operations import adjustments, grants, requests
from portal.credits.queries.funds import choices as fund_choices
from portal.demo import people, world
from portal.demo.programme import DECIDED_CALL, OPEN_CALL
from portal.factory import create_app
from portal.identity import queries as identity
from portal.identity.queries import PersonCard
from portal.projects import queries as projects
from tests.chromium import SPILLS, chromium
from tests.conftest import ROOT, TESTER, LocalPostgres, make_settings
from tests.factories import identity as factory

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.xdist_group("main-pages")]
SHOTS = os.environ.get("PAGE_SHOTS", "")
HUB = Actor.process("hub")
_offsets = count(1)

# Times, percentages, signed numbers and ranges that stand bare in Arabic text: without an isolate their parts change
# places. A plain number between Arabic words reads right as it is.
MIXED = r"""() => [...document.querySelectorAll('main p, main dd, main dt, main th, main td, main li, main h1, main h2, main h3, main label')].filter(el =>
  getComputedStyle(el).direction === 'rtl' && !el.closest('[lang]:not(html):not([lang=ar]), [dir=auto], bdi, code, pre') && [...el.childNodes].some(node =>
    node.nodeType === 3 && /[0-9]\s?[%:\/\u2013\u2212+]|[\u2212+][0-9]|[0-9]\s*[\u2013-]\s*[0-9]/.test(node.textContent.replace(/\u2066[^\u2069]*\u2069/g, '')))).map(el => el.textContent.trim().slice(0, 60))"""


@pytest.fixture(scope="module")
def site(postgres: LocalPostgres, template_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator["Site"]:
    """Serve the demo world with a running session, in a database of its own."""
    name = f"pages_{os.getpid()}"
    postgres.drop_database(name)
    postgres.ensure_database(name, template=template_database)
    app = create_app(make_settings(postgres.url(name, TESTER), tmp_path_factory.mktemp("pages")), PORTAL_HOST=None)
    engine = database.make_engine(postgres.url(name, TESTER))
    found = _populate(engine)
    with database.make_sessions(engine)() as db:
        charged = db.execute(text(_CHARGED)).scalar_one()
        queued = db.execute(text("SELECT number FROM compute_session WHERE state = 'queued'")).scalar_one()
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield Site(f"http://127.0.0.1:{server.server_port}", found, (charged, queued), _cookies(app, engine))
    server.shutdown()
    thread.join()
    server.server_close()
    engine.dispose()
    with app.app_context():
        app.extensions["sqlalchemy"].engine.dispose()
    postgres.drop_database(name)


class Site:
    """The served world."""

    def __init__(self, url: str, world: "World", read: tuple[uuid.UUID, int], cookies: dict[str, tuple[str, str]]) -> None:
        self.url, (self.charged, self.queued), self.cookies = url, read, cookies
        self.session_number, self.lost_number, self.meter_id = world.session_number, world.lost_number, world.meter_id

    def paths(self) -> list[tuple[people.DemoPerson, str]]:
        """Return who looks at what."""
        return [
            (people.FOUNDER, "/"),
            (people.FOUNDER, "/sessions/new?profile=h100-slice-10&hours=2"),
            (people.FOUNDER, f"/sessions/{self.session_number}"),
            (people.FOUNDER, f"/sessions/{self.queued}"),
            (people.STUDENT, "/sessions/promises"),
            (people.STAFF, "/sessions/pool"),
            (people.FOUNDER, "/wallets/p-1"),
            (people.FOUNDER, f"/sessions/charges/{self.charged}"),
            (people.FOUNDER, "/wallets/p-1/statement"),
            (people.FOUNDER, "/wallets/p-1/buy"),
            (people.FOUNDER, "/wallets/p-1/lots/1"),
            (people.ENGINEER, "/sessions/new?profile=h100-full&hours=2"),
            (people.FOUNDER, "/sessions/allowances/p-1"),
            (people.FOUNDER, "/sessions/allowances/p-1/requests/1"),
            (people.SECOND_FOUNDER, "/purchases/1"),
            (people.FINANCE, "/finance/transfers"),
            (people.FINANCE, "/months"),
            (people.STUDENT, "/courses/gpu-from-zero"),
            (people.STUDENT, "/courses/gpu-from-zero/lessons/what-a-gpu-does"),
            (people.STUDENT, "/courses/"),
            (people.APPLICANT, f"/calls/{OPEN_CALL}"),
            (people.APPLICANT, "/applications"),
            (people.FINANCE, "/funds"),
            (people.FINANCE, "/reports/"),
            (people.FINANCE, "/reports/funds/green-compute"),
            (people.FINANCE, f"/reports/calls/{DECIDED_CALL}"),
            (people.FINANCE, "/grant-requests"),
            (people.STAFF, "/sessions/incidents"),
            (people.STAFF, "/sessions/incidents/new"),
            (people.STAFF, "/sessions/incidents/1"),
            (people.FINANCE, "/sessions/incidents/3"),
            (people.FOUNDER, f"/sessions/{self.lost_number}"),
            (people.FINANCE, f"/wallets/p-1/charges/{self.meter_id}/correct"),
            (people.FINANCE, "/wallets/p-1/write-off"),
            (people.FINANCE, "/wallets/p-1/lots/1/supplement"),
            (people.FINANCE, "/wallets/p-1/lots/1/extend"),
            (people.STAFF, f"/programme/calls/{OPEN_CALL}/applications"),
            (people.SECOND_REVIEWER, "/reviews"),
        ]


_CHARGED = """SELECT s.id FROM compute_session s JOIN project p ON p.id = s.project_id WHERE p.slug = 'p-1' AND s.state = 'stopped' AND s.proven_s > 600
ORDER BY s.number LIMIT 1"""


@dataclass(frozen=True)
class World:
    """What the pages show beside the demo world: a running session, one whose machine died, a corrected charge."""

    session_number: int
    lost_number: int
    meter_id: uuid.UUID


def _populate(engine: Engine) -> World:
    now = clock.now()
    with database.transaction(database.make_sessions(engine)) as db:
        world.load(db, courses_dir=ROOT / "courses", now=now - timedelta(minutes=30))
        number = _running_session(db)
        _queue(db)
        _coming_prices(db)
        meter_id = _adjustments(db)
        lost_number = _incidents(db)
    return World(number, lost_number, meter_id)


def _incidents(db: Session) -> int:
    """Let the machine of a session die, and open an outage that waits to be confirmed; return the session's number."""
    now = clock.now()
    founder, staff = identity.person_by_email(db, people.FOUNDER.email), identity.person_by_email(db, people.STAFF.email)
    assert founder is not None
    assert staff is not None
    began_at = now - timedelta(minutes=25)
    session_id = _started(db, founder, began_at, profile="h100-slice-10", label="تدريب أول", minutes=18)
    row = db.execute(select(ComputeSession).where(ComputeSession.id == session_id)).scalar_one()
    endings.lose(db, row, observations.lives(db, {row.id: row})[row.id], by=HUB, now=now)
    assert incidents.note_end(db, session_id=session_id, now=now) is not None
    times = {"starts_at": now - timedelta(days=2), "ends_at": now - timedelta(days=1), "now": now}
    incidents.open(db, kind=IncidentKind.OUTAGE, node_id=None, note="انقطعت الشبكة بين الخوادم", by=staff.actor, **times)
    return compute.session_by_id(db, session_id, actor=founder.actor, now=now).number


def _adjustments(db: Session) -> uuid.UUID:
    """Correct a settled charge of the founder's, and let a big grant and a later end wait; return the charge."""
    now, finance = clock.now(), identity.person_by_email(db, people.FINANCE.email)
    founder = identity.person_by_email(db, people.FOUNDER.email)
    assert finance is not None
    assert founder is not None
    wallet = credit.wallet_by_ref(db, "p-1", actor=finance.actor)
    fund_id = fund_choices(db)[0][0]
    ask = {"purpose": "تدريب النموذج الثاني", "classes": None, "effective_at": now, "expires_at": now + timedelta(days=90), "by": finance.actor, "now": now}
    requests.ask(db, grant_id=new_id(), wallet_id=wallet.id, fund_id=fund_id, amount_ucr=credits_ucr(6000), **ask)
    lot_id = grants.give(db, grant_id=new_id(), wallet_id=wallet.id, fund_id=fund_id, amount_ucr=credits_ucr(6000), **ask | {"by": HUB})
    adjustments.extend(db, adjustment_id=new_id(), lot_id=lot_id, expires_at=now + timedelta(days=120), reason="The disks came late", by=finance.actor, now=now)
    charge = next(row for row in credit.page_of_charges(db, wallet.id, mark=None, now=now).rows if not row.is_running)
    adjustments.correct(
        db, adjustment_id=new_id(), session_id=charge.session_id, generation=1, from_s=charge.duration_s - 60, reason="A slow disk", by=finance.actor, now=now
    )
    return charge.id


def _coming_prices(db: Session) -> None:
    """Publish prices that the launch page and the running session tell of."""
    now = clock.now()
    for slug in ("h100-slice-10", "h100-slice-40"):
        profile_id = compute.profile_id_of(db, slug)
        assert profile_id is not None
        prices.set_price(db, profile_id=profile_id, rate_ucr_per_hour=19_500_000, starts_at=now + timedelta(minutes=40), by=HUB, now=now)
    assert prices.tell(db, now=now)


def _cookies(app: Flask, engine: Engine) -> dict[str, tuple[str, str]]:
    """Sign everybody in, before Chromium's driver takes this thread's event loop; return name and value by address."""
    found = {}
    for person in people.SIGN_INS:
        client = app.test_client()
        with database.make_sessions(engine)() as db:
            card = identity.person_by_email(db, person.email)
        assert card is not None
        factory.sign_in(client, card)
        name = app.session_interface.cookie  # type: ignore[attr-defined]
        cookie = client.get_cookie(name, domain="127.0.0.1")
        assert cookie is not None
        found[person.email] = (name, cookie.value)
    return found


def _queue(db: Session) -> None:
    """Hold every full GPU, and let the founder wait for one."""
    now = clock.now()
    for email, times in ((people.SECOND_FOUNDER.email, 2), (people.FOUNDER.email, 1)):
        person = identity.person_by_email(db, email)
        assert person is not None
        project = projects.projects_of(db, person.id)[0]
        for _ in range(times):
            terms = {"profile_slug": "h100-full", "duration_s": 7200, "label": ""}
            operations.request(db, project_id=project.id, **terms, by=person.actor, now=now)


def _running_session(db: Session) -> int:
    """Start a session of the founder, observed nine minutes ago for the first time."""
    began_at = clock.now() - timedelta(minutes=9)
    person = identity.person_by_email(db, people.FOUNDER.email)
    assert person is not None
    session_id = _started(db, person, began_at, profile="h100-slice-40", label="ضبط النموذج", minutes=8)
    return compute.session_by_id(db, session_id, actor=person.actor, now=clock.now()).number


def _started(db: Session, person: PersonCard, began_at: datetime, *, profile: str, label: str, minutes: int) -> uuid.UUID:
    """Start a session and let it be seen after some minutes."""
    project = projects.projects_of(db, person.id)[0]
    terms = {"profile_slug": profile, "duration_s": 7200, "label": label}
    session_id = operations.request(db, project_id=project.id, **terms, by=person.actor, now=began_at)
    launch = starts.begin(db, session_id=session_id, by=HUB, now=began_at)
    assert launch is not None
    tickets.redeem(db, token=launch.ticket, username=launch.username, server=launch.server, now=began_at)
    for kind, minute in (("started", 0), ("seen", minutes)):
        at = began_at + timedelta(minutes=minute, seconds=1)
        item = {
            "offset": next(_offsets),
            "session_id": str(session_id),
            "generation": 1,
            "kind": kind,
            "boot_id": f"pages-{profile}",
            "pid": 7,
            "process_started_ticks": 7,
            "monotonic_ns": 10**15 + minute * 60 * 10**9,
            "observed_at": at.isoformat().replace("+00:00", "Z"),
            "process_age_ns": minute * 60 * 10**9,
            "exit_code": None,
        }
        observations.receive(db, agent="pages-hub", items=[item], by=HUB, now=at)
    starts.mark_ready(db, session_id=session_id, by=HUB, now=began_at + timedelta(seconds=5))
    return session_id


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Give the system's Chromium."""
    with chromium() as running:
        yield running


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("lang", ["en", "fr", "ar"])
def test_main_pages_are_whole_accessible_and_read_in_one_direction(site: Site, browser: Browser, lang: str, theme: str) -> None:
    wrong = []
    for person in dict.fromkeys(person for person, _ in site.paths()):
        page = _signed_in(site, browser, person, lang, theme)
        complaints: list[str] = []
        page.on("pageerror", lambda error, seen=complaints: seen.append(str(error)))
        page.on("console", lambda message, seen=complaints: seen.append(message.text) if message.type == "error" else None)
        for path in [path for who, path in site.paths() if who == person]:
            for width in (360, 768, 1440):
                page.set_viewport_size({"width": width, "height": 900})
                answer = page.goto(site.url + path)
                assert answer is not None
                assert answer.status == 200, (path, answer.status)
                if SHOTS:
                    name = path.split("?")[0].strip("/").replace("/", "_") or "home"
                    page.screenshot(path=Path(SHOTS) / f"{name}-{lang}-{width}-{theme}.png", full_page=True)
                found = list(page.evaluate(SPILLS)) + [f"mixed: {text}" for text in page.evaluate(MIXED)]
                found += [f"axe {one['id']}: {one['nodes'][0]['html'][:160]}" for one in Axe().run(page).response["violations"]]
                wrong += [(path, width, one) for one in found]
        wrong += [("console", 0, text) for text in complaints]
        page.context.close()

    assert wrong == []


def _signed_in(site: Site, browser: Browser, person: people.DemoPerson, lang: str, theme: str) -> Page:
    context = browser.new_context(locale=lang)
    values = {"lang": lang, "theme": theme} | dict([site.cookies[person.email]])
    context.add_cookies([{"name": name, "value": value, "url": site.url} for name, value in values.items()])
    return context.new_page()


def test_checks_see_mixed_directions(site: Site, browser: Browser) -> None:
    page = _signed_in(site, browser, people.FOUNDER, "ar", "light")
    page.goto(site.url + "/")
    page.evaluate("document.querySelector('main h1').textContent = 'من 14:30 إلى 15:00'")

    assert page.evaluate(MIXED) == ["من 14:30 إلى 15:00"]
    page.context.close()
