"""Request a compute session and ask for its end. Neither touches the network: a job does, after the commit."""

import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from portal.compute import rules
from portal.compute.models import ComputeSession, PriceVersion, Profile
from portal.compute.models import SessionFile as FileRow
from portal.compute.operations import allowances, endings, quotas, waiting
from portal.compute.permissions import HOLDERS, Permission
from portal.compute.states import SESSION, UNENDED, SessionState, StopCause
from portal.core import audit, jobs
from portal.core.access import Actor
from portal.core.database import Json
from portal.core.errors import N_, Invalid, NotFound, Refused, TooMany
from portal.core.ids import new_id
from portal.projects import queries as projects
from portal.projects import relations as project_relations
from portal.projects.states import MemberRole

_OPEN_PATH = re.compile(r"/(?!/)[A-Za-z0-9._~!$&'()*+,;=:@%/?-]{0,500}", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")


class NoSuchProfile(Invalid):
    """The profile does not exist, or is not offered now."""

    text = N_("Choose one of the machines.")
    field = "profile"


class WrongDuration(Invalid):
    """A session lasts between a minute and half a day."""

    text = N_("Choose one of the durations.")
    field = "hours"


class LabelTooLong(Invalid):
    """A name of at most 120 characters."""

    text = N_("A name has at most 120 characters.")
    field = "label"


class ProjectClosed(Refused):
    """Nothing is paid from a closed project."""

    text = N_("This project is closed: nothing can be paid from it any more.")
    field = "project"


class TooManySessions(Refused):
    """A person has a few sessions at a time."""

    text = N_("You have %(count)s sessions now, the most for one person. Stop one of them first.")


class TooManyStarts(TooMany):
    """Starts are counted over ten minutes, so that a loop that fails does not wear out the pool."""

    text = N_("You started %(count)s sessions within ten minutes.")


class BadFiles(Invalid):
    """Files for a session lie within the home and are small."""

    text = N_("The files of this lab cannot be placed: they are too large, or their names lead out of the home.")


@dataclass(frozen=True)
class SessionFile:
    """A file to place in the home before the start, never over one that is there; `path` is relative to the home."""

    path: str
    content: bytes


def request(
    db: Session,
    *,
    project_id: uuid.UUID,
    profile_slug: str,
    duration_s: int,
    label: str,
    by: Actor,
    now: datetime,
    files: Sequence[SessionFile] = (),
    open_path: str = "/lab",
    course_context: Json | None = None,
) -> uuid.UUID:
    """Hold a device and the first window's credits and enqueue the start, or take a place in the queue; return the session's id.

    Learners may do this through a course alone (`course_context`). Raises NotFound, ProjectClosed, NoSuchProfile,
    WrongDuration, LabelTooLong, BadFiles, NoMachine, WindowAhead, TooManySessions, TooManyStarts, AllowanceSpent, the quotas'
    ProjectQuotaReached, PersonQuotaReached and KeptForOthers, and the ledger's NoCredit.
    """
    label = _CONTROL.sub(" ", label).strip()
    _check_shape(label=label, duration_s=duration_s, files=files, open_path=open_path)
    _require_spender(db, project_id, by, is_course=course_context is not None)
    _require_within_limits(db, by, now=now)
    profile, price = _offer(db, profile_slug, now=now)
    allowances.require(db, project_id=project_id, rate_ucr_per_hour=price.rate_ucr_per_hour, duration_s=duration_s, by=by, now=now)
    row = ComputeSession(
        id=new_id(),
        project_id=project_id,
        person_id=by.id,
        profile_id=profile.id,
        price_version_id=price.id,
        generation=1,
        state=SessionState.QUEUED.value,
        label=label,
        open_path=open_path,
        course_context=course_context,
        duration_s=duration_s,
        start_attempts=0,
        proven_s=0,
        requested_at=now,
        rank_at=now,
    )
    waiting.lock(db, profile.device_class)
    db.add(row)
    db.flush()
    quotas.require(db, device_class=profile.device_class, project_id=project_id, by=by)
    for file in files:
        db.add(FileRow(session_id=row.id, path=file.path, content=file.content))
    audit.record(db, "requested", "compute_session", row.id, by=by, now=now, profile=profile_slug, project_id=str(project_id), duration_s=duration_s)
    waiting.place(db, row, profile.device_class, by=by, now=now)
    return row.id


def stop(
    db: Session,
    *,
    session_id: uuid.UUID,
    by: Actor,
    now: datetime,
    cause: StopCause,
    idle_since: datetime | None = None,
    grace: timedelta = timedelta(),
) -> None:
    """Ask for a session's end; a second time changes nothing. Raises NotFound for a session that is not the actor's to stop.

    idle_since: with the cause IDLE, when the session last did anything: what it is charged after that and the grace goes
    back when it has ended.
    """
    if (cause is StopCause.IDLE) != (idle_since is not None):
        message = "a session is stopped for idleness since an instant, and for nothing else since one"
        raise ValueError(message)
    row = db.execute(select(ComputeSession).where(ComputeSession.id == session_id).with_for_update()).scalar_one_or_none()
    if row is None or not _may_stop(db, row, by):
        raise NotFound
    idle_from = {} if idle_since is None else {row.id: idle_since + grace}
    stop_rows(db, [row], by=by, now=now, cause=cause, idle_from=idle_from)


def stop_rows(
    db: Session,
    rows: Sequence[ComputeSession],
    *,
    by: Actor,
    now: datetime,
    cause: StopCause,
    idle_from: Mapping[uuid.UUID, datetime] = MappingProxyType({}),
) -> list[uuid.UUID]:
    """Ask for the end of locked sessions and return those whose servers must now be stopped; others stay as they are.

    idle_from: with the cause IDLE, from when on each session is not charged.
    """
    asked: list[uuid.UUID] = []
    for row in rows:
        if row.state in {SessionState.QUEUED, SessionState.REQUESTED}:
            row.stop_asked_at, row.stop_cause = now, cause.value
            endings.end_unused(db, row, by=by, now=now)
        elif row.state in SESSION.sources("ask_stop"):
            row.state = SESSION.target("ask_stop", SessionState(row.state)).value
            row.stop_asked_at, row.stop_cause, row.idle_from_at = now, cause.value, idle_from.get(row.id)
            audit.record(db, "asked to stop", "compute_session", row.id, by=by, now=now, cause=cause.value)
            asked.append(row.id)
    if asked:
        db.flush()
        jobs.enqueue(db, "compute.stop_servers", session_ids=[str(session_id) for session_id in asked])
    return asked


def stop_all_of_person(db: Session, *, person_id: uuid.UUID, by: Actor, now: datetime, cause: StopCause) -> int:
    """Ask for the end of every live session of a person; return how many there were."""
    query = select(ComputeSession).where(ComputeSession.person_id == person_id, ComputeSession.state.in_(UNENDED)).order_by(ComputeSession.id)
    rows = db.execute(query.with_for_update()).scalars().all()
    stop_rows(db, rows, by=by, now=now, cause=cause)
    return len(rows)


def note_gone(db: Session, *, session_id: uuid.UUID, by: Actor, now: datetime) -> None:
    """Note that the hub has no server of a stopping session: one that never ran ends here, any other with its evidence."""
    row = db.execute(select(ComputeSession).where(ComputeSession.id == session_id).with_for_update()).scalar_one_or_none()
    has_run = row is not None and (row.redeemed_at is not None or row.started_at is not None)
    if row is not None and row.state == SessionState.STOPPING and not has_run:
        endings.end_unused(db, row, by=by, now=now)


def _check_shape(*, label: str, duration_s: int, files: Sequence[SessionFile], open_path: str) -> None:
    if not rules.SHORTEST_S <= duration_s <= rules.LONGEST_S:
        raise WrongDuration
    if len(label) > 120:
        raise LabelTooLong
    names = [file.path for file in files]
    is_unsafe = any(part in {"", ".", ".."} or "\0" in part for name in names for part in name.split("/"))
    if is_unsafe or len(set(names)) < len(names) or sum(len(file.content) for file in files) > rules.FILES_TOTAL_MAX_BYTES:
        raise BadFiles
    if not _OPEN_PATH.fullmatch(open_path):
        raise BadFiles


def _require_spender(db: Session, project_id: uuid.UUID, by: Actor, *, is_course: bool) -> None:
    roles = tuple(MemberRole) if is_course else (MemberRole.LEAD, MemberRole.MEMBER)
    projects.require_member(db, project_id, by, *roles)
    project = project_relations.project.c
    if not db.execute(select(project.is_open).where(project.id == project_id)).scalar_one():
        raise ProjectClosed


def _require_within_limits(db: Session, by: Actor, *, now: datetime) -> None:
    # One request of a person at a time: two that run together would not see each other's session.
    db.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"compute.request:{by.id}", 0))))
    counts = select(
        func.count().filter(ComputeSession.state.in_(UNENDED)),
        func.count().filter(ComputeSession.requested_at > now - rules.STARTS_COUNTED_OVER),
    ).where(ComputeSession.person_id == by.id, (ComputeSession.state.in_(UNENDED)) | (ComputeSession.requested_at > now - rules.STARTS_COUNTED_OVER))
    live, started = db.execute(counts).one()
    if live >= rules.MOST_LIVE_OF_PERSON:
        raise TooManySessions(count=live)
    if started >= rules.MOST_STARTS:
        raise TooManyStarts(count=started, minutes=int(rules.STARTS_COUNTED_OVER.total_seconds() // 60))


def _offer(db: Session, slug: str, *, now: datetime) -> tuple[Profile, PriceVersion]:
    is_current = (PriceVersion.starts_at <= now) & (PriceVersion.ends_at.is_(None) | (PriceVersion.ends_at > now))
    query = select(Profile, PriceVersion).join(PriceVersion, PriceVersion.profile_id == Profile.id).where(Profile.slug == slug, Profile.is_open, is_current)
    found = db.execute(query).one_or_none()
    if found is None:
        raise NoSuchProfile
    return found[0], found[1]


def _may_stop(db: Session, row: ComputeSession, by: Actor) -> bool:
    if by.person_id == row.person_id or by.has(*HOLDERS[Permission.STOP_ANY_SESSION]):
        return True
    member = project_relations.member.c
    lead = select(member.person_id).where(member.project_id == row.project_id, member.person_id == by.person_id, member.role == MemberRole.LEAD.value)
    return db.execute(lead).first() is not None
