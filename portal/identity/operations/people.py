"""People: registering, their own settings, roles, suspension."""

import uuid
from datetime import datetime

from email_validator import EmailNotValidError, validate_email
from sqlalchemy import delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from portal.core import audit, facts
from portal.core.access import Actor, Role, require
from portal.core.errors import N_, Conflict, Invalid, NotFound, Refused
from portal.core.ids import new_id
from portal.identity import passwords, rules
from portal.identity.models import Person, RoleAssignment
from portal.identity.operations import oidc_grants, sign_ins
from portal.identity.permissions import HOLDERS, Permission
from portal.settings import LANGUAGES, TIME_ZONE


class EmailTaken(Conflict):
    """An account has this address already."""

    text = N_("There is an account with this address already.")
    field = "email"


class EmailWrong(Invalid):
    """Not an e-mail address."""

    text = N_("This is not an e-mail address we can write to.")
    field = "email"


class NameWrong(Invalid):
    """No name, or one that is too long."""

    text = N_("Give a name of at most %(most)s characters.")
    field = "display_name"


class LanguageUnknown(Invalid):
    """Not one of the portal's languages."""

    text = N_("The portal does not speak this language.")
    field = "language"


class NotYourself(Refused):
    """Nobody changes their own roles or suspends themselves."""

    text = N_("You cannot do this to your own account. Ask a colleague.")


def register(
    db: Session,
    *,
    email: str,
    display_name: str,
    password: str | None,
    language: str = "en",
    is_confirmed: bool = False,
    by: Actor,
    now: datetime,
) -> uuid.UUID:
    """Open a person's account and return its id. Raises EmailWrong, EmailTaken, NameWrong, LanguageUnknown.

    Without a password the person sets one by the way of "forgotten password".
    """
    hashed = passwords.hash_of(password) if password is not None else None
    return register_hashed(db, email=email, display_name=display_name, password_hash=hashed, language=language, is_confirmed=is_confirmed, by=by, now=now)


def register_hashed(
    db: Session, *, email: str, display_name: str, password_hash: str | None, language: str, is_confirmed: bool, by: Actor, now: datetime
) -> uuid.UUID:
    """Do what `register` does, with a password that is an Argon2id hash already."""
    if language not in LANGUAGES:
        raise LanguageUnknown
    person_id = new_id()
    row = insert(Person).values(
        id=person_id,
        email=normal_email(email),
        display_name=normal_name(display_name),
        language=language,
        zone=TIME_ZONE,
        is_active=True,
        joined_at=now,
        confirmed_at=now if is_confirmed else None,
        password=password_hash,
        password_changed_at=now if password_hash else None,
        fs_uniquifier=uuid.uuid4().hex,
    )
    if db.execute(row.on_conflict_do_nothing(index_elements=["email"]).returning(Person.id)).first() is None:
        raise EmailTaken
    audit.record(db, "registered", "person", person_id, by=by, now=now)
    return person_id


def normal_email(email: str) -> str:
    """Return the address in the form in which it is kept. Raises EmailWrong; never asks the network."""
    try:
        return validate_email(email.strip(), check_deliverability=False).normalized
    except EmailNotValidError as error:
        raise EmailWrong from error


def normal_name(name: str) -> str:
    """Return a name in one line. Raises NameWrong."""
    cleaned = rules.clean_name(name)
    if not cleaned or len(cleaned) > rules.NAME_MOST:
        raise NameWrong(most=rules.NAME_MOST)
    return cleaned


def change_profile(db: Session, *, person_id: uuid.UUID, display_name: str, language: str, zone: str, by: Actor, now: datetime) -> None:
    """Change a person's own name, language and zone; the zone is checked by the form's list."""
    if language not in LANGUAGES:
        raise LanguageUnknown
    values = {"display_name": normal_name(display_name), "language": language, "zone": zone}
    db.execute(update(Person).where(Person.id == person_id).values(**values))
    audit.record(db, "changed profile", "person", person_id, by=by, now=now)


def keep_language(db: Session, *, person_id: uuid.UUID, language: str) -> None:
    """Keep the language that a person chose; one of ours, else nothing happens."""
    if language in LANGUAGES:
        db.execute(update(Person).where(Person.id == person_id, Person.language != language).values(language=language))


def confirm(db: Session, *, person_id: uuid.UUID, by: Actor, now: datetime) -> None:
    """Confirm a person's address without a mail: for the command line, and for invitations that came to it."""
    db.execute(update(Person).where(Person.id == person_id, Person.confirmed_at.is_(None)).values(confirmed_at=now))
    audit.record(db, "confirmed", "person", person_id, by=by, now=now)


def give_role(db: Session, *, person_id: uuid.UUID, role: Role, by: Actor, now: datetime) -> None:
    """Give a person a role for the whole hub; a role they hold already stays. Raises Refused, NotFound."""
    _may_change_roles(db, person_id, by)
    row = insert(RoleAssignment).values(person_id=person_id, role=role.value, given_by=by.person_id, given_at=now)
    if db.execute(row.on_conflict_do_nothing().returning(RoleAssignment.role)).first() is not None:
        audit.record(db, "given role", "person", person_id, by=by, now=now, role=role.value)


def take_role(db: Session, *, person_id: uuid.UUID, role: Role, by: Actor, now: datetime) -> None:
    """Take a role from a person: their next request is without it. Raises Refused, NotFound."""
    _may_change_roles(db, person_id, by)
    gone = delete(RoleAssignment).where(RoleAssignment.person_id == person_id, RoleAssignment.role == role.value)
    if db.execute(gone.returning(RoleAssignment.role)).first() is not None:
        audit.record(db, "taken role", "person", person_id, by=by, now=now, role=role.value)


def _may_change_roles(db: Session, person_id: uuid.UUID, by: Actor) -> None:
    require(by, Permission.GIVE_ROLES, HOLDERS)
    _not_oneself(person_id, by)
    if db.scalar(select(Person.id).where(Person.id == person_id)) is None:
        raise NotFound


def _not_oneself(person_id: uuid.UUID, by: Actor) -> None:
    if by.person_id == person_id:
        raise NotYourself


def suspend(db: Session, *, person_id: uuid.UUID, by: Actor, now: datetime, reason: str = "") -> None:
    """Suspend a person: sessions and tokens end now, and the fact lets others stop what runs.

    Raises Refused, NotFound. An administrator is suspended by an administrator alone.
    """
    require(by, Permission.SUSPEND_PEOPLE, HOLDERS)
    _not_oneself(person_id, by)
    _not_above(db, person_id, by)
    if _switch(db, person_id, is_active=False, suspended_at=now):
        sign_ins.end_all(db, person_id=person_id)
        oidc_grants.revoke_all(db, person_id=person_id, because="suspended", now=now)
        audit.record(db, "suspended", "person", person_id, by=by, now=now, reason=reason)
        facts.write(db, "identity.person_suspended", person_id, now=now, person_id=str(person_id))


def resume(db: Session, *, person_id: uuid.UUID, by: Actor, now: datetime) -> None:
    """Let a suspended person in again. Raises Refused, NotFound."""
    require(by, Permission.SUSPEND_PEOPLE, HOLDERS)
    _not_oneself(person_id, by)
    _not_above(db, person_id, by)
    if _switch(db, person_id, is_active=True, suspended_at=None):
        audit.record(db, "resumed", "person", person_id, by=by, now=now)


def _switch(db: Session, person_id: uuid.UUID, *, is_active: bool, suspended_at: datetime | None) -> bool:
    switched = (
        update(Person)
        .where(Person.id == person_id, Person.is_active != is_active)
        .values(is_active=is_active, suspended_at=suspended_at, fs_uniquifier=uuid.uuid4().hex)
    )
    if db.execute(switched.returning(Person.id)).first() is not None:
        return True
    if db.scalar(select(Person.id).where(Person.id == person_id)) is None:
        raise NotFound
    return False


def _not_above(db: Session, person_id: uuid.UUID, by: Actor) -> None:
    query = select(RoleAssignment.role).where(RoleAssignment.person_id == person_id, RoleAssignment.role == Role.ADMINISTRATOR.value)
    if db.scalar(query) is not None and not by.has(Role.ADMINISTRATOR):
        raise Refused
