"""One request is one transaction: committed when the answer is below 400, rolled back otherwise.

Serialisation failures, deadlocks and lock time-outs are tried again five times with jitter, then answered 503.
"""

import random
import time
from typing import Any

from flask import Flask, g, has_request_context, request
from flask.wrappers import Response
from sqlalchemy.exc import DBAPIError, OperationalError

from portal.core.errors import Busy
from portal.web.database import sql

ATTEMPTS = 5
_RETRIED = {"40001", "40P01", "55P03"}


class Portal(Flask):
    """Flask with the unit of work around every view, and a memory for addresses that never change."""

    def url_for(self, endpoint: str, **values: Any) -> str:
        """Return an address; the forty links of every page that take no values are built once a process."""
        if values or endpoint.startswith(".") or not has_request_context():
            return super().url_for(endpoint, **values)
        key = (endpoint, request.root_path)
        address = self._plain_addresses.get(key)
        if address is None:
            address = self._plain_addresses[key] = super().url_for(endpoint)
        return address

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._plain_addresses: dict[tuple[str, str], str] = {}

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
                if not _may_retry(error) or attempt == ATTEMPTS:
                    raise Busy from error
                g.pop("once_location", None)
                time.sleep(random.uniform(0.01, 0.05) * 2**attempt)  # noqa: S311 -- jitter, not a secret
            except BaseException:
                sql.session.rollback()
                raise
        raise Busy


def _may_retry(error: OperationalError) -> bool:
    """Return whether to run the view again: it lost a race, or only read when its connection was found dead."""
    return sqlstate(error) in _RETRIED or (error.connection_invalidated and request.method in {"GET", "HEAD"})


def sqlstate(error: DBAPIError) -> str | None:
    """Return PostgreSQL's code of an error, None when the connection itself failed."""
    return getattr(error.orig, "sqlstate", None)
