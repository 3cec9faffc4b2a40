"""What sign-in changes on a person: new passwords, second factors, codes that are used once."""

import uuid
from datetime import datetime

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from portal.core import audit
from portal.core.access import Actor
from portal.core.ids import digest
from portal.identity.models import Person
from portal.identity.operations import oidc_grants, sign_ins
from portal.notifications.operations import outbox
from portal.notifications.recipients import Recipient


def signed_in(db: Session, *, person_id: uuid.UUID, by: Actor, now: datetime) -> None:
    """Note a sign-in: links to a new password that were sent before are dead."""
    db.execute(update(Person).where(Person.id == person_id).values(signed_in_at=now))
    audit.record(db, "signed in", "person", person_id, by=by, now=now)


def password_changed(db: Session, *, person_id: uuid.UUID, except_session_id: uuid.UUID | None, now: datetime) -> None:
    """End every other session, and what other sites were told, after a new password."""
    db.execute(update(Person).where(Person.id == person_id).values(password_changed_at=now))
    end_elsewhere(db, person_id=person_id, except_session_id=except_session_id, because="password changed", now=now)
    audit.record(db, "changed password", "person", person_id, by=_self(person_id), now=now)


def second_factor_changed(db: Session, *, person_id: uuid.UUID, is_on: bool, except_session_id: uuid.UUID | None, now: datetime) -> None:
    """End every other session after codes were switched on, moved to another app or off, and tell the person."""
    if not is_on:
        db.execute(update(Person).where(Person.id == person_id).values(mf_recovery_codes=None, totp_last_counter=None))
    end_elsewhere(db, person_id=person_id, except_session_id=except_session_id, because="second factor changed", now=now)
    audit.record(db, "switched codes on" if is_on else "switched codes off", "person", person_id, by=_self(person_id), now=now)
    _tell(db, person_id, "identity.second_factor_changed", now, is_on=is_on)


def end_elsewhere(db: Session, *, person_id: uuid.UUID, except_session_id: uuid.UUID | None, because: str, now: datetime) -> None:
    """End a person's sessions and grants, save those of one session."""
    sign_ins.end_all(db, person_id=person_id, except_id=except_session_id)
    oidc_grants.revoke_all(db, person_id=person_id, because=because, now=now, except_session_id=except_session_id)


def claim_totp(db: Session, *, person_id: uuid.UUID, counter: int) -> bool:
    """Use up a code's time step; False when it, or a later one, was used before, also by a request beside this one."""
    is_new = Person.totp_last_counter.is_(None) | (Person.totp_last_counter < counter)
    claimed = update(Person).where(Person.id == person_id, is_new).values(totp_last_counter=counter)
    return db.execute(claimed.returning(Person.id)).first() is not None


def keep_recovery_codes(db: Session, *, person_id: uuid.UUID, codes: list[str], now: datetime) -> None:
    """Replace a person's recovery codes, as digests: they are shown once."""
    db.execute(update(Person).where(Person.id == person_id).values(mf_recovery_codes=[digest(code) for code in codes]))
    audit.record(db, "made recovery codes", "person", person_id, by=_self(person_id), now=now)


def use_recovery_code(db: Session, *, person_id: uuid.UUID, code: str, now: datetime) -> bool:
    """Use up a recovery code; False when it is not one, or was used before, also by a request beside this one."""
    used = (
        update(Person)
        .where(Person.id == person_id, Person.mf_recovery_codes.op("?")(digest(code)))
        .values(mf_recovery_codes=Person.mf_recovery_codes.op("-")(digest(code)))
    )
    left = db.execute(used.returning(func.jsonb_array_length(Person.mf_recovery_codes))).scalar_one_or_none()
    if left is None:
        return False
    audit.record(db, "used recovery code", "person", person_id, by=_self(person_id), now=now)
    _tell(db, person_id, "identity.recovery_code_used", now, left=left)
    return True


def _self(person_id: uuid.UUID) -> Actor:
    return Actor(person_id=person_id, label="self")


def _tell(db: Session, person_id: uuid.UUID, kind: str, now: datetime, **context: object) -> None:
    row = db.execute(select(Person.email, Person.display_name, Person.language, Person.zone).where(Person.id == person_id)).one()
    outbox.queue(db, kind=kind, recipient=Recipient(person_id, row.email, row.language, row.zone), context={"name": row.display_name} | context, now=now)
