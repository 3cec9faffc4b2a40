"""One mail a day to everyone concerned, with what newly crossed a threshold of theirs over all their wallets.

A person is looked at once on each of their local days, in the morning. A crossing is told once; when it is no longer
one on a later morning, its row goes, and the next crossing is news again. The number of statements does not depend on
how many people and wallets there are.
"""

import uuid
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo, available_timezones

from sqlalchemy import Date, Text, cast, column, delete, exists, func, literal, or_, select, text
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.orm import Session

from portal.core.database import Json
from portal.core.ids import new_id
from portal.credits import bulk
from portal.credits.models import CreditDigest, CreditWarning, CreditWatch
from portal.credits.queries.standings import standings
from portal.credits.queries.wallets import READERS
from portal.credits.queries.watches import Concern, concerns
from portal.credits.rules.thresholds import Crossing, crossings
from portal.identity import relations as identity
from portal.notifications.operations import outbox
from portal.notifications.recipients import Recipient
from portal.projects import relations as projects
from portal.settings import TIME_ZONE

MORNING_HOUR = 7
MOST_AT_ONCE = 500
_LOCK = 7_326_016


@dataclass(frozen=True)
class _News:
    """A crossing that a person was not told of yet."""

    concern: Concern
    crossing: Crossing


def send_due(db: Session, *, now: datetime) -> int:
    """Look at the people whose morning has come, and queue a mail for those with news; return how many were looked at.

    While another worker is at it, nothing is done. Call again while as many as `MOST_AT_ONCE` come back.
    """
    if not db.execute(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": _LOCK}).scalar_one():
        return 0
    claimed = _claim(db, now)
    told = [person_id for person_id, is_off in claimed.items() if not is_off]
    if told:
        _tell(db, told, _news(db, told, now=now), now=now)
    return len(claimed)


def _claim(db: Session, now: datetime) -> dict[uuid.UUID, bool]:
    """Take the people who were not looked at on their present day yet; return whether each switched the mail off."""
    days = _mornings(db, now)
    if not days:
        return {}
    person, member, project = identity.person.c, projects.member.c, projects.project.c
    zones, dates = (cast(literal(list(values), ARRAY(kind)), ARRAY(kind)) for values, kind in ((days, Text()), (days.values(), Date())))
    day = func.unnest(zones, dates).table_valued(column("zone", Text), column("day", Date), name="days").render_derived()
    has_part = exists().where(member.person_id == person.id, member.role.in_(READERS), project.id == member.project_id, project.is_open)
    chose = exists().where(CreditWatch.person_id == person.id)
    was_seen = exists().where(CreditDigest.person_id == person.id, CreditDigest.last_on >= day.c.day)
    due = (
        select(person.id, day.c.day, literal(value=False))
        .join_from(identity.person, day, day.c.zone == person.zone)
        .where(person.is_active, or_(has_part, chose), ~was_seen)
        .order_by(person.id)
        .limit(MOST_AT_ONCE)
    )
    row = insert(CreditDigest).from_select(["person_id", "last_on", "is_off"], due)
    is_later = or_(CreditDigest.last_on.is_(None), CreditDigest.last_on < row.excluded.last_on)
    claim = row.on_conflict_do_update(index_elements=["person_id"], set_={"last_on": row.excluded.last_on}, where=is_later)
    return {found.person_id: found.is_off for found in db.execute(claim.returning(CreditDigest.person_id, CreditDigest.is_off))}


def _mornings(db: Session, now: datetime) -> dict[str, date]:
    """Return the present day of each zone that people live in, where it is morning or later."""
    found = {}
    for zone in db.execute(select(identity.person.c.zone).distinct().order_by(identity.person.c.zone)).scalars():
        local = now.astimezone(ZoneInfo(zone if zone in available_timezones() else TIME_ZONE))
        if local.hour >= MORNING_HOUR:
            found[zone] = local.date()
    return found


def _news(db: Session, person_ids: Collection[uuid.UUID], *, now: datetime) -> list[_News]:
    """Return what people were not told yet, and bring what they were told up to date."""
    wanted = concerns(db, person_ids)
    found = standings(db, sorted({concern.wallet_id for concern in wanted}), now=now)
    crossed = [_News(concern, crossing) for concern in wanted for crossing in crossings(concern.watch, found[concern.wallet_id], now=now)]
    query = select(CreditWarning.id, CreditWarning.person_id, CreditWarning.wallet_id, CreditWarning.kind, CreditWarning.lot_id)
    known = {tuple(row[1:]): row.id for row in db.execute(query.where(bulk.among(CreditWarning.person_id, person_ids)))}
    keys = {_key(one): one for one in crossed}
    over = [id_ for key, id_ in known.items() if key not in keys]
    if over:
        db.execute(delete(CreditWarning).where(bulk.among(CreditWarning.id, over)))
    news = [one for key, one in keys.items() if key not in known]
    names = ("person_id", "wallet_id", "kind", "lot_id")
    bulk.insert_rows(db, CreditWarning, [{"id": new_id(), **dict(zip(names, _key(one), strict=True)), "told_at": now} for one in news])
    return news


def _key(news: _News) -> tuple[uuid.UUID, uuid.UUID, str, uuid.UUID | None]:
    return news.concern.person_id, news.concern.wallet_id, *news.crossing.key


def _tell(db: Session, person_ids: Collection[uuid.UUID], news: Sequence[_News], *, now: datetime) -> None:
    """Queue one mail for each person with news."""
    of_person: defaultdict[uuid.UUID, list[_News]] = defaultdict(list)
    for one in news:
        of_person[one.concern.person_id].append(one)
    if not of_person:
        return
    person = identity.person.c
    query = select(person.id, person.email, person.display_name, person.language, person.zone).where(bulk.among(person.id, person_ids))
    letters = []
    for row in db.execute(query.order_by(person.id)):
        if row.id in of_person:
            context = {"name": row.display_name, "wallets": _wallets(of_person[row.id])}
            letters.append((Recipient(row.id, row.email, row.language, row.zone), context))
    outbox.queue_each(db, kind="credits.digest", letters=letters, now=now)


def _wallets(news: Sequence[_News]) -> list[Json]:
    """Return a person's news by wallet, as the mail's template takes it."""
    found: dict[uuid.UUID, Json] = {}
    for one in news:
        concern, crossing = one.concern, one.crossing
        wallet = found.setdefault(concern.wallet_id, {"project": concern.project_name, "slug": concern.project_slug, "warnings": []})
        wallet["warnings"].append(
            {
                "kind": crossing.kind.value,
                "amount_ucr": crossing.amount_ucr,
                "lost_ucr": crossing.lost_ucr,
                "at": crossing.at.isoformat() if crossing.at is not None else None,
                "count": crossing.count,
                "purpose": crossing.purpose,
                "is_lent": crossing.is_lent,
            }
        )
    return list(found.values())
