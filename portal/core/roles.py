"""Two roles of the database: one owns the tables and migrates, the other is the portal's and may do only what its work needs.

Tables with the trigger `refuse_change` are append-only; the portal's role lacks the privilege as well, so that a trigger that
somebody takes away is not the only thing between a mistake and the journal. The triggers are the one list: privileges follow them.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, text

_GUARDS = text("""
SELECT c.relname AS table_name, bool_or(t.tgtype & 8 > 0) AS keeps_rows, bool_or(t.tgtype & 16 > 0 AND t.tgattr = '') AS keeps_values,
       array_agg(a.attname) FILTER (WHERE a.attname IS NOT NULL) AS kept_columns
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY (t.tgattr)
WHERE t.tgfoid = 'refuse_change'::regproc AND t.tgqual IS NULL AND c.relnamespace = 'public'::regnamespace
GROUP BY c.relname ORDER BY c.relname
""")
_COLUMNS = text("SELECT attname FROM pg_attribute WHERE attrelid = CAST(:name AS regclass) AND attnum > 0 AND NOT attisdropped ORDER BY attnum")
# What a reader of the schema's version alone needs: the owner writes it.
_READ_ONLY = ("alembic_version",)


@dataclass(frozen=True)
class Guard:
    """What the triggers of a table refuse: DELETE, UPDATE, or UPDATE of some columns."""

    table: str
    keeps_rows: bool
    keeps_values: bool
    kept_columns: frozenset[str]


def guards(connection: Connection) -> list[Guard]:
    """Return the append-only tables, in the order of their names."""
    return [Guard(row.table_name, row.keeps_rows, row.keeps_values, frozenset(row.kept_columns or ())) for row in connection.execute(_GUARDS)]


def grant(connection: Connection, role: str) -> None:
    """Give a role what the portal's work needs, and nothing of what the triggers refuse; run it after each migration, as the owner."""
    name = connection.dialect.identifier_preparer.quote(role)
    for statement in (
        f"GRANT USAGE ON SCHEMA public TO {name}",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {name}",
        f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {name}",
        *(f"REVOKE INSERT, UPDATE, DELETE ON {table} FROM {name}" for table in _READ_ONLY),
    ):
        connection.execute(text(statement))
    for guard in guards(connection):
        for statement in _limits(guard, connection, name):
            connection.execute(text(statement))


def _limits(guard: Guard, connection: Connection, role: str) -> Iterable[str]:
    if guard.keeps_rows:
        yield f"REVOKE DELETE ON {guard.table} FROM {role}"
    if guard.keeps_values:
        yield f"REVOKE UPDATE ON {guard.table} FROM {role}"
    elif guard.kept_columns:
        free = [column for column in connection.execute(_COLUMNS, {"name": guard.table}).scalars() if column not in guard.kept_columns]
        yield f"REVOKE UPDATE ON {guard.table} FROM {role}"
        yield f"GRANT UPDATE ({', '.join(free)}) ON {guard.table} TO {role}"


def unguarded(connection: Connection) -> list[str]:
    """Return the append-only tables that the connection's own role may change all the same; all of them where it owns them."""
    may = text(
        "SELECT has_table_privilege(:name, 'DELETE') AS remove, has_table_privilege(:name, 'UPDATE') AS change, has_table_privilege(:name, 'TRUNCATE') AS empty"
    )
    found = []
    for guard in guards(connection):
        held = connection.execute(may, {"name": guard.table}).one()
        if held.empty or (guard.keeps_rows and held.remove) or ((guard.keeps_values or guard.kept_columns) and held.change):
            found.append(guard.table)
    return found
