"""What domains contribute to every page: navigation by role, account menu, balance, foot.

A page has a budget of ten statements; the parts below use one together, the balance.
"""

from collections.abc import Sequence

from flask import request, url_for
from flask_babel import gettext as _
from flask_login import current_user

from portal.core import clock
from portal.core.access import Actor, Role
from portal.credits.queries.of_people import balance_of_person
from portal.settings import Settings
from portal.web.database import session
from portal.web.pages import Account, BalanceLine, LayoutParts, Link


def parts(settings: Settings) -> LayoutParts:
    """Return the parts of the layout for this deployment."""
    return LayoutParts(
        nav=nav, account=account, balance=balance, banner=lambda: _("Development: nothing here is real") if settings.is_development else None, footer=footer
    )


def nav(actor: Actor) -> Sequence[Link]:
    """Return the navigation: five places for everybody, one more for each role's own work."""
    links = [_link(_("Home"), "desk.home")]
    if actor.is_signed_in:
        links += [_link(_("Sessions"), "compute.session_list"), _link(_("Wallets"), "credits.wallets")]
    links += [_link(_("Programme"), "incubation.call_list"), _link(_("Courses"), "learning.catalogue")]
    if actor.has(Role.REVIEWER):
        links.append(_link(_("Reviews"), "incubation.own_reviews"))
    return links


def account(actor: Actor) -> Account | None:
    """Return the account menu: the person's own pages, then what their roles open."""
    if not actor.is_signed_in:
        return None
    links = [
        _link(_("Profile"), "identity.profile"),
        _link(_("Security"), "identity.security"),
        _link(_("Organisations"), "identity.organisations"),
        _link(_("Messages"), "notifications.messages"),
        _link(_("Projects"), "projects.project_list"),
        _link(_("Purchases"), "payments.purchase_list"),
        _link(_("My applications"), "incubation.own_applications"),
    ]
    links += [_link(label, endpoint) for roles, label, endpoint in _work() if actor.has(*roles)]
    links.append(Link(_("Sign out"), url_for("security.logout"), post=True))
    return Account(current_user.display_name, current_user.email, links)


def balance(actor: Actor) -> BalanceLine | None:
    """Return what the person can spend over all their projects, None for those who have no wallet."""
    if not actor.is_signed_in:
        return None
    total = balance_of_person(session(), actor.id, now=clock.now())
    if total is None:
        return None
    return BalanceLine(total.balance_ucr, total.held_ucr, total.free_ucr, url_for("credits.wallets"))


def footer(actor: Actor) -> Sequence[Link]:
    """Return the links at the foot of every page."""
    first = _link(_("What a session can reach"), "compute.limits") if actor.is_signed_in else _link(_("Sign in"), "security.login")
    return [first, _link(_("Who may do what"), "desk.permissions")]


def _work() -> Sequence[tuple[tuple[Role, ...], str, str]]:
    return (
        ((Role.STAFF, Role.ADMINISTRATOR), _("Calls and applications"), "incubation.programme_calls"),
        ((Role.STAFF, Role.INSTRUCTOR, Role.ADMINISTRATOR), _("Course runs"), "learning.run_list"),
        ((Role.FINANCE, Role.FUNDER, Role.ADMINISTRATOR), _("Funds"), "credits.funds"),
        ((Role.FINANCE, Role.STAFF, Role.FUNDER, Role.ADMINISTRATOR), _("Reports"), "reporting.report_list"),
        ((Role.FINANCE, Role.ADMINISTRATOR), _("Payments"), "payments.finance_desk"),
        ((Role.STAFF, Role.ADMINISTRATOR), _("GPU pool"), "compute.pool"),
        ((Role.STAFF, Role.FINANCE, Role.ADMINISTRATOR), _("Incidents"), "compute.incident_list"),
        ((Role.STAFF, Role.ADMINISTRATOR), _("People"), "identity.people"),
    )


def _link(label: str, endpoint: str) -> Link:
    url = url_for(endpoint)
    is_home = url == "/"
    return Link(label, url, current=request.path == "/" if is_home else request.path.startswith(url))
