"""The demo world, small: made by the real operations with earlier instants, so that nothing in it is impossible.

People of each role; a programme with one decided call (two ventures with credits and some used sessions), one call
in review and one open; a trial that has almost used up its credits; a course run with learners; funds; a price list and
two purchases. Loaded into an empty database alone.
"""

from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from portal.compute.operations import pool
from portal.core.access import Actor
from portal.core.quantities import credits_ucr
from portal.credits import queries as credit
from portal.credits.operations import funds
from portal.demo import courses, incidents, pacing, people, programme, purchases, sessions, teams
from portal.demo.people import PASSWORD, Cast
from portal.identity import passwords, queries
from portal.identity import relations as identity
from portal.identity.operations import organisations
from portal.identity.operations import people as registration
from portal.identity.states import OrganisationKind

DEMO = Actor.process("demo")
HISTORY = timedelta(days=60)


class NotEmpty(RuntimeError):
    """The database already has people."""


def load(db: Session, *, courses_dir: Path, now: datetime) -> None:
    """Make the world. Raises NotEmpty."""
    if db.execute(select(func.count()).select_from(identity.person)).scalar_one():
        raise NotEmpty
    began_at = now - HISTORY
    cast = _people(db, now=began_at)
    _organisations(db, cast, now=began_at)
    pool.ensure_local_pool(db, by=DEMO, now=began_at)
    region = "Region of Tangier–Tetouan–Al Hoceima"
    green = funds.open(db, slug="green-compute", name="Green Compute Fund", sponsor=region, budget_ucr=credits_ucr(60_000), by=DEMO, now=began_at)
    education = funds.open(db, slug="education", name="Education Fund", sponsor="OCP Foundation", budget_ucr=credits_ucr(20_000), by=DEMO, now=began_at)
    projects = programme.build(db, cast, fund_id=green, began_at=began_at, now=now)
    courses.build(db, cast, courses_dir=courses_dir, fund_id=education, began_at=began_at, now=now)
    trial_id = pacing.open_small_project(db, cast, fund_id=green, now=now)
    sessions.build(db, cast, project_id=projects[0], trial_id=trial_id, now=now)
    teams.build(db, cast, project_id=projects[0], now=now)
    purchases.build(db, cast, project_id=projects[1], began_at=began_at, now=now)
    incidents.build(db, cast, now=now)
    pacing.add_short_lot(db, wallet_id=credit.wallet_of_project(db, projects[0]), fund_id=green, now=now)


def _people(db: Session, *, now: datetime) -> Cast:
    password_hash = passwords.hash_of(PASSWORD)
    actors: dict[str, Actor] = {}
    for person in people.SIGN_INS:
        person_id = registration.register_hashed(
            db, email=person.email, display_name=person.name, password_hash=password_hash, language=person.language, is_confirmed=True, by=DEMO, now=now
        )
        for role in person.roles:
            registration.give_role(db, person_id=person_id, role=role, by=DEMO, now=now)
        actors[person.email] = queries.actor_of(db, person_id)
    return Cast(actors)


def _organisations(db: Session, cast: Cast, *, now: datetime) -> None:
    for name, kind, owner in (
        ("Darija Speech SARL", OrganisationKind.STARTUP, people.FOUNDER),
        ("Université Abdelmalek Essaâdi", OrganisationKind.UNIVERSITY, people.REVIEWER),
        ("Tetouan AI Hub", OrganisationKind.HUB, people.STAFF),
    ):
        organisations.open(db, name=name, kind=kind, by=cast[owner], now=now)
