"""The request's database session."""

from inspect import iscoroutinefunction

from flask.sansio.app import App
from flask_sqlalchemy_lite import SQLAlchemy
from sqlalchemy.orm import Session, sessionmaker

from portal.core.database import ENGINE_OPTIONS, SESSION_OPTIONS


class SyncSQLAlchemy(SQLAlchemy):
    """The extension without its teardown of asynchronous sessions: that one runs an event loop after every request."""

    def init_app(self, app: App) -> None:
        """Register the extension."""
        super().init_app(app)
        app.teardown_appcontext_funcs[:] = [function for function in app.teardown_appcontext_funcs if not iscoroutinefunction(function)]


sql = SyncSQLAlchemy(engine_options=ENGINE_OPTIONS, session_options=SESSION_OPTIONS)


def session() -> Session:
    """Return the request's session; `Portal.dispatch_request` commits it or rolls it back."""
    return sql.session


def sessions() -> sessionmaker[Session]:
    """Return the factory of sessions beside the request's, for what must be counted whatever becomes of it."""
    return sql.sessionmaker
