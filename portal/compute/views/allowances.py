"""Weekly allowances: the leads of a project set them for its members, and answer those who ask for more."""

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]  # newer than its type stubs

from portal.compute.forms import AllowanceForm, AnswerForm
from portal.compute.operations import allowances
from portal.compute.queries import allowances as queries
from portal.compute.views.base import blueprint
from portal.core import clock
from portal.core.errors import NotFound
from portal.core.quantities import short_credits
from portal.projects import queries as projects
from portal.projects import words
from portal.projects.queries import ProjectCard
from portal.projects.states import MemberRole
from portal.web import access
from portal.web.actors import current_actor
from portal.web.database import session
from portal.web.once import once_view

EVERYBODY = "everybody"


def _led(slug: str) -> ProjectCard:
    card = projects.project_by_slug(session(), slug, actor=current_actor())
    if card.role is not MemberRole.LEAD:
        raise NotFound
    return card


@blueprint.get("/allowances/<slug>")
@access.signed_in
def allowance_list(slug: str) -> ResponseReturnValue:
    """Show a project's lead who may take how much a week, who took it, and who asks for more."""
    now, db, card = clock.now(), session(), _led(slug)
    rows = queries.page_of_members(db, card, mark=request.args.get("mark"), now=now)
    asks = queries.open_asks(db, card.id, mark=request.args.get("asks"))
    return render_template("compute/allowances.html", card=card, rows=rows, asks=asks, default_ucr=queries.default_ucr(db, card.id), roles=words.ROLES)


@blueprint.route("/allowances/<slug>/<member>", methods=["GET", "POST"])
@access.signed_in
@once_view
def set_allowance(slug: str, member: str) -> ResponseReturnValue:
    """Set the allowance of a member, or of everybody who has none of their own."""
    now, db, card = clock.now(), session(), _led(slug)
    person_id, name = (None, None) if member == EVERYBODY else queries.member_by_slug(db, card.id, member)
    present = queries.default_ucr(db, card.id) if person_id is None else queries.own_ucr(db, card.id, person_id)
    form = AllowanceForm(data={"amount": short_credits(present)} if present is not None else None)
    if form.validate_on_submit():
        with form.catching():
            allowances.set_weekly(db, project_id=card.id, person_id=person_id, weekly_ucr=form.amount.ucr, by=current_actor(), now=now)
            flash(gettext("The allowance is set."), "good")
            return redirect(url_for("compute.allowance_list", slug=slug), 303)
    return render_template("compute/set_allowance.html", form=form, card=card, name=name), form.status


@blueprint.route("/allowances/<slug>/requests/<int:number>", methods=["GET", "POST"])
@access.signed_in
@once_view
def answer_ask(slug: str, number: int) -> ResponseReturnValue:
    """Give a member more, for this week or every week, or decline."""
    now, db, card = clock.now(), session(), _led(slug)
    row = queries.ask_by_number(db, card.id, number)
    form = AnswerForm(data={"amount": short_credits(row.asked_ucr), "lasts": "week"})
    form.lasts.choices = [SelectChoice("week", gettext("This week only")), SelectChoice("always", gettext("Every week from now on"))]
    if form.validate_on_submit():
        with form.catching():
            terms = {"ask_id": row.id, "answer": form.answer.data or "", "by": current_actor(), "now": now}
            if "decline" in request.form:
                allowances.decline(db, **terms)  # type: ignore[arg-type]
                flash(gettext("Declined. They get a mail."), "info")
            else:
                amount_ucr = form.amount.ucr or row.asked_ucr
                allowances.give(db, given_ucr=amount_ucr, is_lasting=form.lasts.data == "always", **terms)  # type: ignore[arg-type]
                flash(gettext("More is given. They get a mail."), "good")
            return redirect(url_for("compute.allowance_list", slug=slug), 303)
    return render_template("compute/answer_ask.html", form=form, card=card, row=row), form.status
