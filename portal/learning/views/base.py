"""What the pages of learning share: the blueprint, the reader's standing in a course, and the cards of labs."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from flask import Blueprint

from portal.learning import queries, shown
from portal.learning.content.model import Course, Lab
from portal.learning.permissions import HOLDERS, Permission
from portal.learning.queries import LabOffer, Place, Standing
from portal.learning.rules import Progress, RunPhase
from portal.web.actors import current_actor
from portal.web.database import session

blueprint = Blueprint("learning", __name__, template_folder="../templates")
blueprint.add_app_template_filter(shown.said, "said")
blueprint.add_app_template_filter(shown.said_plainly, "said_plainly")


@dataclass(frozen=True)
class Reader:
    """Who looks at a course: their place and standing in it, if any. `leads`: may read all as an instructor."""

    place: Place | None
    standing: Standing
    progress: Progress
    leads: bool

    @property
    def reads_all(self) -> bool:
        """Return whether every lesson is open to this reader."""
        return self.place is not None or self.leads


@dataclass(frozen=True)
class LabCard:
    """A lab as its card shows it. free_ucr: the run's credits, None for who is not in a run."""

    lab: Lab
    offer: LabOffer | None
    free_ucr: int | None
    is_running_run: bool
    sessions: Collection[queries.LabSession]

    @property
    def live_session(self) -> queries.LabSession | None:
        """Return the reader's session that is not over."""
        return next((session for session in self.sessions if session.ended_at is None), None)

    @property
    def can_start(self) -> bool:
        """Return whether the button stands under the card: a start would be tried, and is likely to succeed."""
        return self.is_running_run and self.offer is not None and self.offer.is_free and self.is_affordable and self.live_session is None

    @property
    def is_affordable(self) -> bool:
        """Return whether the run can pay all of it."""
        return self.offer is not None and self.free_ucr is not None and self.free_ucr >= self.offer.cost_ucr


def reader_of(course: Course, *, now: datetime) -> Reader:
    """Return who the request's person is for a course."""
    actor = current_actor()
    place = queries.place_in(session(), course.id, actor=actor, now=now)
    standing = queries.standing_of(session(), place.enrolment_id) if place else queries.NOTHING_READ
    return Reader(place, standing, standing.progress(course), leads=actor.is_signed_in and actor.has(*HOLDERS[Permission.RUN_COURSES]))


def lab_cards(labs: Collection[Lab], reader: Reader, *, now: datetime) -> Mapping[str, LabCard]:
    """Return the cards of some labs for a reader, with today's price and the run's credits."""
    offers = queries.lab_offers(session(), labs, now=now)
    run = reader.place.run if reader.place else None
    free_ucr = queries.free_credits_ucr(session(), run.project_id, now=now) if run and labs else None
    is_running = run is not None and run.phase is RunPhase.RUNNING
    return {lab.slug: LabCard(lab, offers.get(lab.slug), free_ucr, is_running, reader.standing.sessions.get(lab.slug, ())) for lab in labs}
