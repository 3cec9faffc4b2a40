"""Course runs as those see them who lead them: open one, watch who takes part, stop taking people."""

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from portal.core import clock
from portal.core.errors import NotFound
from portal.learning import queries, shown
from portal.learning.forms import RunForm
from portal.learning.operations import runs
from portal.learning.permissions import HOLDERS, Permission
from portal.learning.views.base import blueprint
from portal.web import access
from portal.web.actors import current_actor
from portal.web.database import session
from portal.web.once import once_view


@blueprint.get("/runs")
@access.needs(Permission.RUN_COURSES, HOLDERS)
def run_list() -> ResponseReturnValue:
    """List the runs that the actor leads, all of them for staff."""
    page = queries.page_of_runs(session(), actor=current_actor(), mark=request.args.get("mark"), now=clock.now())
    return render_template("learning/runs.html", runs=page, courses=list(shown.catalogue().courses.values()))


@blueprint.route("/runs/new/<slug>", methods=["GET", "POST"])
@access.needs(Permission.RUN_COURSES, HOLDERS)
@once_view
def open_run(slug: str) -> ResponseReturnValue:
    """Open a run of a course."""
    now = clock.now()
    course = shown.course_of(slug)
    form = RunForm(languages=course.languages)
    if form.validate_on_submit():
        with form.catching():
            run_id = runs.open(
                session(),
                course=course,
                starts_at=form.starts_at,
                ends_at=form.ends_at,
                capacity=form.capacity.data or 0,
                language=form.language.data,
                by=current_actor(),
                now=now,
            )
            run = queries.run_by_id(session(), run_id, now=now)
            flash(gettext("The course run is open. Its wallet is empty: finance grants it credits from a fund."), "good")
            return redirect(url_for("learning.run", slug=run.slug), 303)
    return render_template("learning/open_run.html", course=course, form=form), form.status


@blueprint.get("/runs/<slug>")
@access.needs(Permission.RUN_COURSES, HOLDERS)
def run(slug: str) -> ResponseReturnValue:
    """Show a run and its people."""
    now = clock.now()
    found = queries.run_led(session(), slug, actor=current_actor(), now=now)
    learners = queries.page_of_learners(session(), found.id, mark=request.args.get("mark"))
    return render_template(
        "learning/run.html",
        run=found,
        course=shown.catalogue().by_id(found.course_id),
        learners=learners,
        free_ucr=queries.free_credits_ucr(session(), found.project_id, now=now),
    )


@blueprint.post("/runs/<slug>/joining/<wish>")
@access.needs(Permission.RUN_COURSES, HOLDERS)
@once_view
def set_joining(slug: str, wish: str) -> ResponseReturnValue:
    """Stop taking people into a run, or take them again."""
    now = clock.now()
    found = queries.run_led(session(), slug, actor=current_actor(), now=now)
    acts = {"close": runs.close_joining, "open": runs.open_joining}
    if wish not in acts:
        raise NotFound
    acts[wish](session(), run_id=found.id, by=current_actor(), now=now)
    return redirect(url_for("learning.run", slug=found.slug), 303)
