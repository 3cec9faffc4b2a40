"""What the home pages need: the next thing first. Each domain answers for itself; the desk puts the answers in order."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from flask import url_for
from flask_babel import gettext as _
from flask_babel import ngettext
from sqlalchemy.orm import Session

from portal.compute import queries as compute
from portal.compute.queries import Offer, SessionView
from portal.core.access import Actor, Role
from portal.credits import queries as credit
from portal.credits.queries import Balance
from portal.credits.queries.of_people import wallets_of_projects
from portal.incubation.queries import applications, calls, reviews, staff
from portal.learning import queries as learning
from portal.learning import shown
from portal.learning.content.model import Course
from portal.learning.states import EnrolmentState
from portal.projects import queries as projects
from portal.projects.queries import ProjectCard
from portal.projects.states import MemberRole
from portal.web.i18n import in_reader_language

MOST_ITEMS = 5
SOON = timedelta(days=3)


@dataclass(frozen=True)
class Item:
    """One thing to do: a sentence, why, and the button. due_at orders the list; things without a date come last."""

    title: str
    text: str
    action: str
    url: str
    due_at: datetime | None = None
    is_due: bool = False


@dataclass(frozen=True)
class Purse:
    """A project's wallet."""

    project: ProjectCard
    balance: Balance
    url: str


@dataclass(frozen=True)
class CourseLine:
    """A course that the person is in."""

    title: str
    done: int
    total: int
    url: str


@dataclass(frozen=True)
class Home:
    """A signed-in person's home page. Lists are short: each is the beginning of a page of its own."""

    live: Sequence[SessionView]
    items: Sequence[Item]
    purses: Sequence[Purse]
    courses: Sequence[CourseLine]
    offers: Sequence[Offer]
    now: datetime

    @property
    def rows(self) -> Sequence[Mapping[str, object]]:
        """Return the things to do as the list macro takes them."""
        return [
            {"title": item.title, "text": item.text, "state": "due" if item.is_due else "on", "action": item.action, "url": item.url, "is_first": index == 0}
            for index, item in enumerate(self.items)
        ]

    @property
    def headline(self) -> str:
        """Return the sentence that the page opens with."""
        if not self.items:
            return str(_("Nothing waits for you"))
        return str(ngettext("%(num)s thing needs you", "%(num)s things need you", len(self.items)))


@dataclass(frozen=True)
class Welcome:
    """The page of a visitor: what is open now."""

    calls: Sequence[calls.CallCard]
    courses: Sequence[CourseLine]
    offers: Sequence[Offer] = field(default_factory=list)


def welcome(db: Session, *, now: datetime) -> Welcome:
    """Return what a visitor may join today."""
    open_calls = [call for call in calls.page_of_calls(db, mark=None).rows if call.is_open(now)]
    lines = [CourseLine(in_reader_language(course.title), 0, len(course.lessons), url_for("learning.course", slug=course.slug)) for course in _courses()]
    return Welcome(open_calls[:3], lines[:3], compute.offers(db, now=now))


def home(db: Session, actor: Actor, *, now: datetime) -> Home:
    """Return a person's home page."""
    own = projects.projects_of(db, actor.id, roles=frozenset({MemberRole.LEAD, MemberRole.MEMBER}))
    purses = _purses(db, own[:3], now=now)
    items = sorted(_items(db, actor, now=now), key=lambda item: (item.due_at is None, item.due_at or now))
    return Home(
        live=compute.live_sessions_of(db, actor, now=now),
        items=items[:MOST_ITEMS],
        purses=purses,
        courses=_course_lines(db, actor, now=now),
        offers=compute.offers(db, now=now) if purses else [],
        now=now,
    )


def _purses(db: Session, own: Sequence[ProjectCard], *, now: datetime) -> list[Purse]:
    wallets = wallets_of_projects(db, [project.id for project in own])
    balances = credit.balances(db, list(wallets.values()), now=now)
    return [Purse(project, balances[wallets[project.id]], url_for("credits.wallet", ref=project.slug)) for project in own if project.id in wallets]


def _items(db: Session, actor: Actor, *, now: datetime) -> Iterator[Item]:
    for draft in applications.drafts_due(db, actor=actor, now=now):
        yield Item(
            _("Finish your application"),
            _("%(call)s: %(title)s", call=in_reader_language(draft.call), title=draft.title or _("no title yet")),
            _("Go on"),
            url_for("incubation.edit_application", number=draft.number),
            draft.closes_at,
            draft.closes_at - now < SOON,
        )
    if actor.has(Role.REVIEWER):
        for review in reviews.reviews_waiting(db, actor=actor):
            title, url = _("Review “%(title)s”", title=review.title), url_for("incubation.review", number=review.number)
            yield Item(title, in_reader_language(review.call), _("Review"), url, review.due_at, review.due_at - now < SOON)
    if actor.has(Role.STAFF):
        for row in staff.waiting_for_reviewers(db, actor=actor):
            text = ngettext("%(num)s application waits for reviewers", "%(num)s applications wait for reviewers", row.count)
            yield Item(in_reader_language(row.title), text, _("Assign"), url_for("incubation.call_applications", slug=row.slug))


def _course_lines(db: Session, actor: Actor, *, now: datetime) -> list[CourseLine]:
    lines = []
    by_id = {course.id: course for course in _courses()}
    for place in learning.places_of(db, actor.id, now=now, most=3):
        course = by_id.get(place.run.course_id)
        if course is None or place.state is EnrolmentState.LEFT:
            continue
        progress = learning.standing_of(db, place.enrolment_id).progress(course)
        lines.append(CourseLine(in_reader_language(course.title), progress.done, progress.total, url_for("learning.course", slug=course.slug)))
    return lines


def _courses() -> Sequence[Course]:
    return list(shown.catalogue().courses.values())
