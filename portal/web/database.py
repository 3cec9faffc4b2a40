"""The request's database session."""

from flask_sqlalchemy_lite import SQLAlchemy
from sqlalchemy.orm import Session, sessionmaker

from portal.core.database import ENGINE_OPTIONS, SESSION_OPTIONS

sql = SQLAlchemy(engine_options=ENGINE_OPTIONS, session_options=SESSION_OPTIONS)


def session() -> Session:
    """Return the request's session; `Portal.dispatch_request` commits it or rolls it back."""
    return sql.session


def sessions() -> sessionmaker[Session]:
    """Return the factory of sessions beside the request's, for what must be counted whatever becomes of it."""
    return sql.sessionmaker
