"""A person as Flask-Security sees one: a second mapping of the table, and the store that writes through operations."""

import uuid
from datetime import datetime
from typing import TYPE_CHECKING, Any

from flask import session as flask_session
from flask_security import FSQLALiteUserDatastore, RoleMixin, UserMixin
from flask_security.utils import set_request_attr
from sqlalchemy import select
from sqlalchemy.orm import make_transient_to_detached
from sqlalchemy.orm.util import identity_key

from portal.core import clock
from portal.core.access import VISITOR
from portal.core.database import Base
from portal.identity.models import Person
from portal.identity.operations import accounts, people
from portal.identity.web_session import PERSON_KEY, PortalSession
from portal.web import i18n
from portal.web.database import session, sql

_person = Person.__table__.c


class Account(Base, UserMixin):
    """The columns of a person under the names that Flask-Security uses."""

    __table__ = Person.__table__
    active = _person.is_active  # type: ignore[assignment]  # a mapped column, read as a bool

    if TYPE_CHECKING:
        id: uuid.UUID  # type: ignore[assignment]  # the mixin says int and means anything
        display_name: str
        language: str
        zone: str
        signed_in_at: datetime | None


class NoRoles(RoleMixin):
    """Roles are `role_assignment` rows that actors carry; Flask-Security's own are not used."""

    name = ""


class AccountStore(FSQLALiteUserDatastore):
    """Flask-Security's store; what changes a person's access goes through our operations."""

    def __init__(self) -> None:
        super().__init__(sql, Account, NoRoles)

    def create_user(self, **values: Any) -> Account:
        """Register the person of a sign-up form; other values than these never get in. Raises EmailTaken."""
        person_id = people.register_hashed(
            session(),
            email=values["email"],
            display_name=values["display_name"],
            password_hash=values["password"],
            language=i18n.language(),
            is_confirmed=False,
            by=VISITOR,
            now=clock.now(),
        )
        return session().get_one(Account, person_id)

    def set_uniquifier(self, user: Any, uniquifier: str | None = None) -> None:
        """Give the person a new key, as Flask-Security does at a new password, and end what hung on the old one."""
        super().set_uniquifier(user, uniquifier)
        session().flush()
        accounts.password_changed(session(), person_id=user.id, except_session_id=this_session_id(), now=clock.now())

    def tf_set(self, user: Any, primary_method: str, totp_secret: str | None = None, phone: str | None = None) -> None:
        """Switch codes on, or move them to another app; called at each sign-in too, when nothing changes."""
        is_change = user.tf_primary_method != primary_method or (totp_secret is not None and user.tf_totp_secret != totp_secret)
        super().tf_set(user, primary_method, totp_secret, phone)
        if is_change:
            self._second_factor_changed(user, is_on=True)

    def tf_reset(self, user: Any) -> None:
        """Switch codes off."""
        user.tf_primary_method = None
        user.tf_totp_secret = None
        session().add(user)
        self._second_factor_changed(user, is_on=False)

    def _second_factor_changed(self, user: Any, *, is_on: bool) -> None:
        session().flush()
        accounts.second_factor_changed(session(), person_id=user.id, is_on=is_on, except_session_id=this_session_id(), now=clock.now())
        this_session().rotate()


def load_user(key: str) -> Account | None:
    """Return Flask-Login's `current_user` from what the session's one statement has read.

    Its other columns are read when somebody asks for them: Flask-Security's pages do, the others do not.
    """
    person = this_session().person
    if person is None or this_session().before.get(PERSON_KEY) != key:
        return session().scalars(select(Account).where(_person.fs_uniquifier == key, _person.is_active)).one_or_none()
    set_request_attr("fs_authn_via", "session")
    set_request_attr("fs_paa", flask_session.get("fs_paa", 0))
    known = session().identity_map.get(identity_key(Account, person.id))
    if known is not None:
        return known
    account = Account(
        id=person.id, email=person.email, display_name=person.display_name, language=person.language, zone=person.zone, active=True, fs_uniquifier=key
    )
    make_transient_to_detached(account)
    session().add(account)
    return account


def this_session() -> PortalSession:
    """Return the request's session behind Flask's proxy."""
    found: PortalSession = flask_session._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001 -- the documented way
    return found


def this_session_id() -> uuid.UUID | None:
    """Return the id of the session row of the person who is signed in here."""
    found = this_session()
    return found.live.id if found.person and found.live else None
