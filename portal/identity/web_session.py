"""The browser's session, kept in the database: the cookie is a random name for a row, and stores nothing.

A visitor has no row. What a page keeps for a visitor (the CSRF token, messages for the next page) travels in a
signed cookie that gives no rights; anything else, and every sign-in, opens a row. The secret changes whenever the
person behind it changes: at sign-in, after the second factor, at a new password.

Read at the first use, in the request's session: pages that ask nothing cost nothing. Written after the answer, in a
transaction of its own, and only when something changed or the last use is a minute old.
"""

import hashlib
import os
import uuid
from collections.abc import Iterator
from typing import Any

from flask import Flask, Request, request
from flask.sessions import SecureCookieSessionInterface, SessionInterface, SessionMixin
from flask.wrappers import Response
from itsdangerous import BadSignature, URLSafeTimedSerializer

from portal.core import clock
from portal.core.database import transaction
from portal.identity import queries, rules
from portal.identity.operations import sign_ins
from portal.web.database import session as database_session
from portal.web.database import sessions as database_sessions

COOKIE = "portal_session"
VISITOR_COOKIE = "portal_visitor"
VISITOR_KEYS = frozenset({"csrf_token", "_flashes"})
PERSON_KEY = "_user_id"
# Flask-Security's marks for a CSRF cookie that is switched off, and Flask-Login's for one that does not exist.
_IGNORED = frozenset({"fs_cc", "_remember", "_id", "_permanent"})


class PortalSession(SessionMixin):
    """A session that reads its row at the first use."""

    def __init__(self, secret: str | None, visitor: dict[str, Any]) -> None:
        self._secret = secret
        self._visitor = visitor
        self._values: dict[str, Any] | None = None
        self.live: queries.LiveSession | None = None
        self.before: dict[str, Any] = {}
        self.is_broken = False
        self.must_rotate = False
        self.modified = False
        self.accessed = False

    @property
    def is_loaded(self) -> bool:
        """Return whether the request used the session."""
        return self._values is not None

    @property
    def had_secret(self) -> bool:
        """Return whether the browser sent a cookie."""
        return self._secret is not None

    @property
    def person(self) -> queries.PersonCard | None:
        """Return who is signed in."""
        self._load()
        return self.live.person if self.live else None

    @property
    def values_now(self) -> dict[str, Any]:
        """Return what the session holds, for the cookie and the row."""
        return {key: value for key, value in self._load().items() if key not in _IGNORED}

    def rotate(self) -> None:
        """Give this session a new secret at the end of the request."""
        self.must_rotate = True

    def _load(self) -> dict[str, Any]:
        if self._values is None:
            self._values = {}
            if self._secret is not None:
                try:
                    self.live = queries.live_session(database_session(), self._secret, now=clock.now())
                except BaseException:
                    # The error page asks again: it is drawn for a visitor, and nothing is written.
                    self.is_broken = True
                    raise
            self._values = dict(self.live.data if self.live else self._visitor)
            self.before = dict(self._values)
        return self._values

    def __getitem__(self, key: str) -> Any:
        self.accessed = True
        return self._load()[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.accessed = True
        self._load()[key] = value
        self.modified = True

    def __delitem__(self, key: str) -> None:
        self.accessed = True
        del self._load()[key]
        self.modified = True

    def __iter__(self) -> Iterator[str]:
        self.accessed = True
        return iter(self._load())

    def __len__(self) -> int:
        self.accessed = True
        return len(self._load())


class DatabaseSessionInterface(SessionInterface):
    """Opens and saves `PortalSession`; set by `sign_in.install`."""

    def __init__(self, *, is_https: bool) -> None:
        self._is_https = is_https
        # A browser lets no other host, and no plain HTTP, set a cookie whose name begins like this.
        self._prefix = "__Host-" if is_https else ""

    @property
    def cookie(self) -> str:
        """Return the name of the session's cookie."""
        return self._prefix + COOKIE

    @property
    def visitor_cookie(self) -> str:
        """Return the name of the visitor's cookie."""
        return self._prefix + VISITOR_COOKIE

    def open_session(self, app: Flask, request: Request) -> PortalSession:
        """Return the request's session, not yet read."""
        secret = request.cookies.get(self.cookie, "")
        visitor: dict[str, Any] = {}
        signed = request.cookies.get(self.visitor_cookie)
        if signed:
            try:
                loaded = _serializer(app).loads(signed, max_age=int(rules.SESSION_IDLE.total_seconds()))
                visitor = {key: value for key, value in loaded.items() if key in VISITOR_KEYS}
            except BadSignature:
                visitor = {}
        return PortalSession(secret if 20 <= len(secret) <= 100 else None, visitor)

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        """Write what changed."""
        if not isinstance(session, PortalSession) or not session.is_loaded or session.is_broken:
            return
        # The request's unit of work is over; what an error page has read since needs no connection any more.
        database_session().rollback()
        values = session.values_now
        if PERSON_KEY not in session.before and not set(values) - VISITOR_KEYS:
            self._save_visitor(app, session, values, response)
        elif session.live is None:
            self._open_row(session, values, response)
        elif PERSON_KEY in session.before and PERSON_KEY not in values:
            self._end_row(app, session, values, response)
        else:
            self._save_row(session, values, response)

    def _save_visitor(self, app: Flask, session: PortalSession, values: dict[str, Any], response: Response) -> None:
        if session.live is not None:
            with transaction(database_sessions()) as db:
                sign_ins.end(db, session_id=session.live.id, now=clock.now())
        if session.had_secret:
            response.delete_cookie(self.cookie, **self._flags())
        if values != session.before or session.live is not None:
            self._set_visitor(app, values, response)

    def _set_visitor(self, app: Flask, values: dict[str, Any], response: Response) -> None:
        if values:
            response.set_cookie(self.visitor_cookie, str(_serializer(app).dumps(values)), **self._flags())
        else:
            response.delete_cookie(self.visitor_cookie, **self._flags())

    def _open_row(self, session: PortalSession, values: dict[str, Any], response: Response) -> None:
        now = clock.now()
        with transaction(database_sessions()) as db:
            person_id = queries.person_id_of_key(db, values.get(PERSON_KEY))
            secret = sign_ins.begin(db, data=_fresh(values), device=_device(), person_id=person_id, now=now)
        self._set_secret(secret, response)
        response.delete_cookie(self.visitor_cookie, **self._flags())

    def _end_row(self, app: Flask, session: PortalSession, values: dict[str, Any], response: Response) -> None:
        with transaction(database_sessions()) as db:
            sign_ins.end(db, session_id=_row_id(session), now=clock.now())
        response.delete_cookie(self.cookie, **self._flags())
        self._set_visitor(app, {key: value for key, value in values.items() if key in VISITOR_KEYS}, response)

    def _save_row(self, session: PortalSession, values: dict[str, Any], response: Response) -> None:
        now = clock.now()
        row_id = _row_id(session)
        if session.must_rotate or values.get(PERSON_KEY) != session.before.get(PERSON_KEY):
            with transaction(database_sessions()) as db:
                person_id = queries.person_id_of_key(db, values.get(PERSON_KEY))
                secret = sign_ins.rotate(db, session_id=row_id, data=_fresh(values), person_id=person_id, now=now)
            if secret is not None:
                self._set_secret(secret, response)
        elif values != session.before:
            with transaction(database_sessions()) as db:
                sign_ins.keep(db, session_id=row_id, data=values, now=now)
        elif session.live is not None and session.live.last_seen_at < now - rules.SESSION_TOUCH:
            with transaction(database_sessions()) as db:
                sign_ins.touch(db, session_id=row_id, now=now)

    def _set_secret(self, secret: str, response: Response) -> None:
        response.set_cookie(self.cookie, secret, max_age=int(rules.SESSION_ABSOLUTE.total_seconds()), **self._flags())

    def _flags(self) -> dict[str, Any]:
        return {"path": "/", "secure": self._is_https, "httponly": True, "samesite": "Lax"}


def _serializer(app: Flask) -> URLSafeTimedSerializer:
    tagged = SecureCookieSessionInterface.serializer  # keeps the pairs of flashed messages
    return URLSafeTimedSerializer(app.config["SECRET_KEY"], salt="portal-visitor", serializer=tagged, signer_kwargs={"digest_method": hashlib.sha256})


def _row_id(session: PortalSession) -> uuid.UUID:
    if session.live is None:
        raise LookupError(COOKIE)
    return session.live.id


def _fresh(values: dict[str, Any]) -> dict[str, Any]:
    """Return the values with a new CSRF token: forms of the person before do not work for the person after."""
    return values | {"csrf_token": hashlib.sha256(os.urandom(64)).hexdigest()}


def _device() -> str:
    return request.headers.get("User-Agent", "")
