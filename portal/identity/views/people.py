"""People, for staff: finding one, roles, suspension."""

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from portal.core import clock
from portal.core.access import Role
from portal.core.errors import NotFound
from portal.identity import queries
from portal.identity.forms import SuspensionForm
from portal.identity.labels import ROLES
from portal.identity.operations import people as operations
from portal.identity.permissions import HOLDERS, Permission
from portal.identity.views.blueprint import blueprint
from portal.web import access
from portal.web.actors import current_actor
from portal.web.database import session
from portal.web.once import once_view


@blueprint.get("/people")
@access.needs(Permission.SEE_PEOPLE, HOLDERS)
def people() -> ResponseReturnValue:
    """List people, newest first, or those whose name, address or number begins with the search."""
    search = request.args.get("search", "")[:100]
    page = queries.people_page(session(), search=search, mark=request.args.get("mark"))
    return render_template("identity/people.html", rows=page, search=search, roles=ROLES)


@blueprint.get("/people/<int:number>")
@access.needs(Permission.SEE_PEOPLE, HOLDERS)
def person(number: int) -> ResponseReturnValue:
    """Show one person."""
    return _page(number, SuspensionForm())


@blueprint.post("/people/<int:number>/roles/<role>/give")
@access.needs(Permission.GIVE_ROLES, HOLDERS)
@once_view
def give_role(number: int, role: str) -> ResponseReturnValue:
    """Give a person a role."""
    found = queries.person_by_number(session(), number)
    operations.give_role(session(), person_id=found.id, role=_role(role), by=current_actor(), now=clock.now())
    flash(gettext("%(name)s now has the role “%(role)s”.", name=found.display_name, role=ROLES[_role(role)]), "success")
    return redirect(url_for("identity.person", number=number), 303)


@blueprint.post("/people/<int:number>/roles/<role>/take")
@access.needs(Permission.GIVE_ROLES, HOLDERS)
@once_view
def take_role(number: int, role: str) -> ResponseReturnValue:
    """Take a role from a person."""
    found = queries.person_by_number(session(), number)
    operations.take_role(session(), person_id=found.id, role=_role(role), by=current_actor(), now=clock.now())
    flash(gettext("%(name)s no longer has the role “%(role)s”.", name=found.display_name, role=ROLES[_role(role)]), "success")
    return redirect(url_for("identity.person", number=number), 303)


@blueprint.post("/people/<int:number>/suspend")
@access.needs(Permission.SUSPEND_PEOPLE, HOLDERS)
@once_view
def suspend(number: int) -> ResponseReturnValue:
    """Suspend a person, with a reason for the record."""
    found = queries.person_by_number(session(), number)
    form = SuspensionForm()
    if form.validate_on_submit():
        with form.catching():
            operations.suspend(session(), person_id=found.id, by=current_actor(), now=clock.now(), reason=str(form.reason.data))
            flash(gettext("%(name)s is suspended and signed out everywhere.", name=found.display_name), "success")
            return redirect(url_for("identity.person", number=number), 303)
    return _page(number, form)


@blueprint.post("/people/<int:number>/resume")
@access.needs(Permission.SUSPEND_PEOPLE, HOLDERS)
@once_view
def resume(number: int) -> ResponseReturnValue:
    """Let a suspended person in again."""
    found = queries.person_by_number(session(), number)
    operations.resume(session(), person_id=found.id, by=current_actor(), now=clock.now())
    flash(gettext("%(name)s may sign in again.", name=found.display_name), "success")
    return redirect(url_for("identity.person", number=number), 303)


def _page(number: int, form: SuspensionForm) -> ResponseReturnValue:
    found = queries.person_by_number(session(), number)
    may = current_actor().has
    shown = {
        "person": found,
        "form": form,
        "roles": ROLES,
        "is_oneself": found.id == current_actor().id,
        "may_give_roles": may(*HOLDERS[Permission.GIVE_ROLES]),
        "may_suspend": may(Role.ADMINISTRATOR) or (may(*HOLDERS[Permission.SUSPEND_PEOPLE]) and Role.ADMINISTRATOR not in found.roles),
    }
    return render_template("identity/person.html", **shown), form.status


def _role(name: str) -> Role:
    try:
        return Role(name)
    except ValueError as error:
        raise NotFound from error
