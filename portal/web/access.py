"""Every route declares who may call it; a route without a rule is refused and fails the build.

    @blueprint.get("/wallets/<uuid:wallet_id>")
    @access.signed_in
    def wallet(wallet_id): ...

The rule opens the door of the route; which rows the person sees is the query's affair, scoped by actor in SQL.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

from flask import Flask, current_app, redirect, request, url_for
from flask.typing import ResponseReturnValue

from portal.core.access import PermissionTable, require
from portal.core.errors import N_, DomainError, Refused
from portal.core.ids import same_secret
from portal.web.actors import current_actor

View = TypeVar("View", bound=Callable[..., Any])
_RULES = "portal_access_rules"
_MACHINES = "portal_machine_keys"
SIGN_IN_ENDPOINT = "security.login"


class SignInNeeded(DomainError):
    """The sign-in ended, or never was, when a form was sent."""

    text = N_("You are signed out, so nothing was saved.")
    kept = N_("What you typed is still in the page before this one.")
    what_to_do = N_("Sign in in another tab, come back to this one, go one page back and send again.")


class MachineUnknown(Refused):
    """The caller's key is missing or wrong."""

    text = N_("The key of this caller is missing or wrong.")


@dataclass(frozen=True)
class Rule:
    """Who may call a route: "public", "signed_in", "permission" or "machine"."""

    kind: str
    permission: StrEnum | None = None
    table: PermissionTable | None = None
    machine: str | None = None


PUBLIC = Rule("public")
SIGNED_IN = Rule("signed_in")


def public(view: View) -> View:
    """Open a route to everybody."""
    return _declare(view, PUBLIC)


def signed_in(view: View) -> View:
    """Open a route to everybody who is signed in."""
    return _declare(view, SIGNED_IN)


def needs(permission: StrEnum, table: PermissionTable) -> Callable[[View], View]:
    """Open a route to the roles that hold a permission in the domain's table."""
    return lambda view: _declare(view, Rule("permission", permission, table))


def machine(name: str) -> Callable[[View], View]:
    """Open a route to one machine, by its bearer key."""
    return lambda view: _declare(view, Rule("machine", machine=name))


def _declare(view: View, rule: Rule) -> View:
    view.__access_rule__ = rule  # type: ignore[attr-defined]
    return view


def declare(app: Flask, rules: Mapping[str, Rule]) -> None:
    """Declare rules by endpoint, for views that come from libraries."""
    app.extensions.setdefault(_RULES, {}).update(rules)


def use_machine_keys(app: Flask, keys: Mapping[str, str]) -> None:
    """Set the bearer keys of the machines that may call."""
    app.extensions[_MACHINES] = dict(keys)


def rule_of(app: Flask, endpoint: str) -> Rule | None:
    """Return the rule that a route declares, None when it declares none."""
    declared: Rule | None = app.extensions.get(_RULES, {}).get(endpoint)
    return declared or getattr(app.view_functions[endpoint], "__access_rule__", None)


def enforce() -> ResponseReturnValue | None:
    """Refuse what the route's rule does not allow; runs before every request."""
    if request.endpoint is None:
        return None
    rule = rule_of(current_app, request.endpoint)
    if rule is None:
        raise Refused
    if rule.kind == "public":
        return None
    if rule.kind == "machine":
        _check_machine(str(rule.machine))
        return None
    actor = current_actor()
    if not actor.is_signed_in:
        if request.method in {"GET", "HEAD"}:
            return redirect(url_for(SIGN_IN_ENDPOINT, next=request.full_path.rstrip("?")), 303)
        raise SignInNeeded
    if rule.permission is not None and rule.table is not None:
        require(actor, rule.permission, rule.table)
    return None


def _check_machine(name: str) -> None:
    key = current_app.extensions.get(_MACHINES, {}).get(name, "")
    given = request.headers.get("Authorization", "").removeprefix("Bearer ")
    if not key or not same_secret(given, key):
        raise MachineUnknown
