"""The schema that Alembic builds is the one the models describe, names of constraints included."""

from sqlalchemy import CheckConstraint, text
from sqlalchemy.orm import Session

from portal.core.database import Base


def test_checks_have_the_names_of_the_models(db: Session) -> None:
    rows = db.execute(
        text(
            "SELECT c.relname, o.conname FROM pg_constraint o JOIN pg_class c ON c.oid = o.conrelid WHERE o.contype = 'c' AND c.relnamespace = 'public'::regnamespace"
        )
    )
    built = {(table, name) for table, name in rows if not table.startswith("procrastinate")}
    described = {
        (table.name, str(constraint.name))
        for table in Base.metadata.tables.values()
        for constraint in table.constraints
        if isinstance(constraint, CheckConstraint)
    }

    assert len(described) > 100
    assert built == described
