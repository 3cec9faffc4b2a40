"""A20: the permission matrix. Every route of the application has a row; the walk calls each as everybody."""

import re
from datetime import datetime
from importlib import import_module
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session
from werkzeug.routing import Rule

from portal.core.access import Role
from portal.factory import create_hub_api_app
from portal.settings import Settings
from portal.web import access
from tests.architecture.access_matrix import ObjectMaker, Row
from tests.conftest import ROOT
from tests.factories import identity as people

MADE_UP = {"uuid": "0199aaaa-0000-7000-8000-000000000000", "int": "999999", "string": "nothing-here", "path": "nothing/here", "default": "nothing-here"}


def matrix() -> tuple[dict[str, Row], dict[str, ObjectMaker]]:
    """Return all rows and object makers of all domains."""
    rows: dict[str, Row] = {}
    makers: dict[str, ObjectMaker] = {}
    for path in sorted(Path(ROOT / "tests").glob("*/access_matrix.py")):
        module = import_module(f"tests.{path.parent.name}.access_matrix")
        rows |= getattr(module, "ROWS", {})
        makers |= getattr(module, "OBJECTS", {})
    return rows, makers


ROWS, MAKERS = matrix()


def routes(app: Flask) -> list[tuple[Rule, str]]:
    """Return every rule with each of its methods, HEAD and OPTIONS aside."""
    return [(rule, method) for rule in app.url_map.iter_rules() for method in sorted(rule.methods or ()) if method not in {"HEAD", "OPTIONS"}]


def made_up_path(rule: Rule) -> str:
    """Return the rule's path with arguments that name nothing."""
    path = re.sub(r"<any\((\w+)[^)]*\):\w+>", r"\1", rule.rule)
    for name, converter in rule._converters.items():
        kind = {"UUIDConverter": "uuid", "IntegerConverter": "int", "PathConverter": "path"}.get(type(converter).__name__, "default")
        for spelled in (f"<uuid:{name}>", f"<int:{name}>", f"<path:{name}>", f"<string:{name}>", f"<{name}>"):
            path = path.replace(spelled, MADE_UP[kind])
    return path


def test_a20_every_route_has_a_row_and_every_row_a_route(session_app: Flask, settings: Settings) -> None:
    endpoints = {rule.endpoint for rule in session_app.url_map.iter_rules()} | {rule.endpoint for rule in create_hub_api_app(settings).url_map.iter_rules()}

    assert endpoints - set(ROWS) == set(), "routes without a row in a domain's tests/<domain>/access_matrix.py"
    assert set(ROWS) - endpoints == set(), "rows without a route"


def test_a20_declared_rules_equal_the_rows(session_app: Flask, settings: Settings) -> None:
    wrong = []
    for app in (session_app, create_hub_api_app(settings)):
        for rule in app.url_map.iter_rules():
            declared, row = access.rule_of(app, rule.endpoint), ROWS.get(rule.endpoint)
            if row is None or declared is None or (declared.kind, declared.permission) != (row.kind, row.permission):
                wrong.append((rule.endpoint, declared, row))

    assert wrong == []


def test_a20_visitors_get_no_further_than_public_routes(app: Flask, client: FlaskClient) -> None:
    wrong = []
    for rule, method in routes(app):
        if ROWS[rule.endpoint].kind == "public":
            continue
        answer = client.open(made_up_path(rule), method=method, data=people.csrf(client) if method != "GET" else None)
        sent_to_sign_in = answer.status_code == 303 and answer.headers["Location"].startswith("/sign-in")
        if not (sent_to_sign_in if method == "GET" else answer.status_code == 401):
            wrong.append((rule.endpoint, method, answer.status_code))

    assert wrong == []


@pytest.mark.parametrize("role", [None, *Role])
def test_a20_roles_open_only_their_permissions(app: Flask, client: FlaskClient, db: Session, now: datetime, role: Role | None) -> None:
    person = people.person(db, roles=[role] if role else [], now=now)
    people.sign_in(client, person)
    wrong = []
    for rule, method in routes(app):
        row, declared = ROWS[rule.endpoint], access.rule_of(app, rule.endpoint)
        if row.kind != "permission" or declared is None or declared.table is None or declared.permission is None:
            continue
        may = role in declared.table[declared.permission]
        answer = client.open(made_up_path(rule), method=method, data=people.csrf(client) if method != "GET" else None)
        if (answer.status_code == 403) == may or answer.status_code >= 500:
            wrong.append((rule.endpoint, method, answer.status_code, may))

    assert wrong == []


@pytest.mark.parametrize("endpoint", sorted(name for name, row in ROWS.items() if row.object))
def test_a20_a21_what_one_owns_another_does_not_find(app: Flask, client: FlaskClient, db: Session, now: datetime, endpoint: str) -> None:
    row = ROWS[endpoint]
    owner, stranger = people.person(db, now=now), people.person(db, now=now)
    arguments = MAKERS[str(row.object)](db, owner.id, now)
    db.commit()
    methods = {method for rule, method in routes(app) if rule.endpoint == endpoint}
    with app.test_request_context():
        path = app.url_for(endpoint, **arguments)

    people.sign_in(client, owner)
    if "GET" in methods and row.owner_gets:
        assert client.get(path).status_code < 400
    people.sign_out(client)
    people.sign_in(client, stranger)
    for method in sorted(methods):
        answer = client.open(path, method=method, data=people.csrf(client) if method != "GET" else None)
        assert answer.status_code == 404, (method, answer.status_code)
