"""A lab's page: what it takes, and the button that opens it on the pool."""

from flask import Response, flash, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from portal.compute import queries as compute
from portal.core import clock
from portal.core.errors import Conflict, NotFound, Refused, TooMany
from portal.learning import queries, shown
from portal.learning.operations import labs
from portal.learning.views.base import blueprint, lab_cards, reader_of
from portal.web import access, i18n
from portal.web.actors import current_actor
from portal.web.database import session
from portal.web.errors import sentence
from portal.web.once import once_view


@blueprint.get("/<slug>/labs/<lab_slug>")
@access.signed_in
def lab(slug: str, lab_slug: str) -> ResponseReturnValue:
    """Show a lab with its price, its energy and the credits of the course, and the sessions that the reader had."""
    now = clock.now()
    course = shown.course_of(slug)
    found = shown.lab_of(course, lab_slug)
    reader = reader_of(course, now=now)
    return render_template(
        "learning/lab.html",
        course=course,
        lab=found,
        reader=reader,
        card=lab_cards([found], reader, now=now)[found.slug],
        lang=request.args.get("lang") if request.args.get("lang") in course.languages else "",
        languages=[(code, i18n.NAMES[code]) for code in course.languages],
    )


@blueprint.post("/<slug>/labs/<lab_slug>/launch")
@access.signed_in
@once_view
def launch(slug: str, lab_slug: str) -> ResponseReturnValue:
    """Open the lab with its notebook in the reader's language, and lead to the session; a refusal is said on the lab's page."""
    now = clock.now()
    course = shown.course_of(slug)
    found = shown.lab_of(course, lab_slug)
    place = queries.place_in(session(), course.id, actor=current_actor(), now=now)
    if place is None:
        raise NotFound
    language = shown.language_of(course, request.form.get("lang"))
    try:
        with session().begin_nested():
            session_id = labs.launch(
                session(), enrolment_id=place.enrolment_id, course=course, lab_slug=found.slug, language=language, by=current_actor(), now=now
            )
    except (Refused, Conflict, TooMany) as error:
        flash(sentence(error), "bad")
        return redirect(url_for("learning.lab", slug=course.slug, lab_slug=found.slug), 303)
    view = compute.session_by_id(session(), session_id, actor=current_actor(), now=now)
    return redirect(url_for("compute.session_page", number=view.number), 303)


@blueprint.get("/<slug>/labs/<lab_slug>/notebook")
@access.signed_in
def notebook(slug: str, lab_slug: str) -> ResponseReturnValue:
    """Give the notebook itself, to read or to run elsewhere."""
    course = shown.course_of(slug)
    found = shown.lab_of(course, lab_slug)
    if not reader_of(course, now=clock.now()).reads_all:
        raise NotFound
    language = shown.language_of(course, request.args.get("lang"))
    response: Response = make_response(labs.notebook(course, found, language))
    response.headers["Content-Type"] = "application/x-ipynb+json"
    response.headers["Content-Disposition"] = f'attachment; filename="{found.slug}.{language}.ipynb"'
    return response
