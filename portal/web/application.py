"""One request is one transaction: committed when the answer is below 400, rolled back otherwise.

Serialisation failures, deadlocks and lock time-outs are tried again five times with jitter, then answered 503.
"""

import random
import time

from flask import Flask, g
from flask.wrappers import Response
from sqlalchemy.exc import DBAPIError, OperationalError

from portal.core.errors import Busy
from portal.web.database import sql

ATTEMPTS = 5
_RETRIED = {"40001", "40P01", "55P03"}


class Portal(Flask):
    """Flask with the unit of work around every view."""

    def dispatch_request(self) -> Response:
        """Run the view in one transaction; see the module's page."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                response = self.make_response(super().dispatch_request())
                if response.status_code < 400:
                    sql.session.commit()
                else:
                    sql.session.rollback()
                return response
            except OperationalError as error:
                sql.session.rollback()
                if sqlstate(error) not in _RETRIED or attempt == ATTEMPTS:
                    raise Busy from error
                g.pop("once_location", None)
                time.sleep(random.uniform(0.01, 0.05) * 2**attempt)  # noqa: S311 -- jitter, not a secret
            except BaseException:
                sql.session.rollback()
                raise
        raise Busy


def sqlstate(error: DBAPIError) -> str | None:
    """Return PostgreSQL's code of an error, None when the connection itself failed."""
    return getattr(error.orig, "sqlstate", None)
