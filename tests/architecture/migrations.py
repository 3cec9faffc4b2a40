"""The history is linear and builds what the models say: run by `make check`, non-zero when not."""

import sys
import tempfile
from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from portal.core import database
from portal.core.database import Base
from portal.core.local_postgres import LocalPostgres
from portal.factory import create_app
from tests.conftest import ROOT, make_settings

NAME = "check_migrations"


def main() -> int:
    """Build a database from nothing, compare it with the models, and return the exit status."""
    script = ScriptDirectory(str(ROOT / "portal" / "migrations"), version_locations=[str(ROOT / "portal" / "migrations" / "versions")])
    heads = script.get_heads()
    server = LocalPostgres(ROOT / "var" / "test-postgres", durable=False)
    try:
        server.drop_database(NAME)
        server.ensure_database(NAME)
        differences = _differences(server.url(NAME))
        server.drop_database(NAME)
    finally:
        server.stop()
    for difference in differences:
        print(f"models and migrations differ: {difference}")
    print(f"migrations: {len(list(script.walk_revisions()))} revisions, heads {', '.join(heads)}, {len(differences)} differences")
    return 0 if len(heads) == 1 and not differences else 1


def _differences(url: str) -> list[object]:
    with tempfile.TemporaryDirectory() as folder:
        app = create_app(make_settings(url, Path(folder)))
        with app.app_context():
            app.extensions["alembic"].upgrade()
            app.extensions["sqlalchemy"].engine.dispose()
    engine = database.make_engine(url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "include_name": _is_ours})
        found = list(compare_metadata(context, Base.metadata))
    engine.dispose()
    return found


def _is_ours(name: str | None, kind: str, parents: object) -> bool:
    return not (kind == "table" and name is not None and name.startswith("procrastinate_"))


if __name__ == "__main__":
    sys.exit(main())
