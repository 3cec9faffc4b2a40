"""How many statements the applications list costs, on the database that `pages` left behind."""

import json

from sqlalchemy import select

from bench.machine import VAR, private_postgres
from portal.core import database
from portal.factory import create_app
from portal.identity import queries as identity
from portal.identity import relations
from tests.conftest import make_settings
from tests.factories import identity as people
from tests.queries import count_queries


def main() -> None:
    """Print one JSON line."""
    with private_postgres() as server:
        url = server.url("bench_pages")
        app = create_app(make_settings(url, VAR / "var"), PORTAL_HOST=None)
        person = relations.person.c
        with database.make_sessions(database.make_engine(url))() as db:
            staff_id = db.execute(select(person.id).where(person.email.not_like("bench-%"))).scalar_one()
            staff = identity.person_by_id(db, staff_id)
        client = app.test_client()
        people.sign_in(client, staff)
        client.get("/programme/calls/bench-many/applications")
        with count_queries() as seen:
            answer = client.get("/programme/calls/bench-many/applications")
        if answer.status_code != 200:
            raise RuntimeError(answer.status)
    print(json.dumps({"statements": len(seen)}))


if __name__ == "__main__":
    main()
