"""The catalogue, a course's page, lessons, and lessons to take along."""

from flask import Response, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import force_locale

from portal.core import clock
from portal.core.errors import NotFound
from portal.learning import queries, shown
from portal.learning.content.model import Course, Lesson, Level
from portal.learning.operations import progress
from portal.learning.views.base import Reader, blueprint, lab_cards, reader_of
from portal.settings import LANGUAGES
from portal.web import access, i18n
from portal.web.actors import current_actor
from portal.web.database import session
from portal.web.once import once_view

MOST_WORDS = 100


@blueprint.get("/")
@access.public
def catalogue() -> ResponseReturnValue:
    """List the courses, found by words, level and language."""
    now, actor = clock.now(), current_actor()
    words = request.args.get("words", "").strip()[:MOST_WORDS]
    level = next((level for level in Level if level.value == request.args.get("level")), None)
    language = next((code for code in LANGUAGES if code == request.args.get("language")), None)
    courses = shown.catalogue().search(words, level=level, language=language)
    runs = queries.next_runs(session(), [course.id for course in courses], now=now) if courses else {}
    places = {place.run.course_id: place for place in queries.places_of(session(), actor.id, now=now)} if actor.is_signed_in else {}
    return render_template(
        "learning/catalogue.html",
        courses=courses,
        runs=runs,
        places=places,
        words=words,
        level=level,
        language=language,
        levels=list(Level),
        languages=i18n.NAMES,
        is_empty=not shown.catalogue().courses,
        weights={course.slug: shown.download_bytes(course, shown.language_of(course, language)) for course in courses},
    )


@blueprint.get("/<slug>")
@access.public
def course(slug: str) -> ResponseReturnValue:
    """Show a course: what people learn, its lessons and labs, the next run, and the reader's own progress."""
    now = clock.now()
    found = shown.course_of(slug)
    reader = reader_of(found, now=now)
    run = reader.place.run if reader.place else queries.next_runs(session(), [found.id], now=now).get(found.id)
    language = shown.language_of(found, None)
    return render_template(
        "learning/course.html",
        course=found,
        reader=reader,
        run=run,
        language=language,
        cards=lab_cards(found.labs, reader, now=now),
        weight=shown.download_bytes(found, language),
        languages=i18n.NAMES,
        next_lesson=_next_unread(found, reader),
    )


@blueprint.get("/<slug>/lessons/<lesson_slug>")
@access.public
def lesson(slug: str, lesson_slug: str) -> ResponseReturnValue:
    """Show a lesson in the language of the address, or the page's; the first one is open to everybody."""
    now = clock.now()
    found = shown.course_of(slug)
    part = shown.lesson_of(found, lesson_slug)
    reader = reader_of(found, now=now)
    if not (reader.reads_all or found.is_preview(part)):
        return _closed(found, part)
    if reader.place is not None:
        progress.visit(session(), enrolment_id=reader.place.enrolment_id, lesson=part.slug, now=now)
    language = shown.language_of(found, request.args.get("lang"))
    with force_locale(language):
        body = render_template("learning/_lesson.html", **_lesson_context(found, part, reader, language))
    return render_template("learning/lesson.html", course=found, lesson=part, language=language, direction=i18n.direction(language), body=body)


@blueprint.post("/<slug>/lessons/<lesson_slug>/done")
@access.signed_in
@once_view
def finish_lesson(slug: str, lesson_slug: str) -> ResponseReturnValue:
    """Note that the lesson was read, and go on to the next one."""
    now = clock.now()
    found = shown.course_of(slug)
    part = shown.lesson_of(found, lesson_slug)
    place = queries.place_in(session(), found.id, actor=current_actor(), now=now)
    if place is None:
        raise NotFound
    progress.finish_lesson(session(), enrolment_id=place.enrolment_id, course=found, lesson=part.slug, by=current_actor(), now=now)
    following = _neighbour(found, part, +1)
    if following is None:
        return redirect(url_for("learning.course", slug=found.slug), 303)
    return redirect(url_for("learning.lesson", slug=found.slug, lesson_slug=following.slug, lang=_asked_language(found)), 303)


@blueprint.get("/<slug>/lessons/<lesson_slug>/offline")
@access.public
def offline_lesson(slug: str, lesson_slug: str) -> ResponseReturnValue:
    """Give a lesson as one file that needs no network."""
    found = shown.course_of(slug)
    part = shown.lesson_of(found, lesson_slug)
    if not (found.is_preview(part) or reader_of(found, now=clock.now()).reads_all):
        return _closed(found, part)
    language = shown.language_of(found, request.args.get("lang"))
    response: Response = make_response(shown.offline_page(found, part, language))
    response.headers["Content-Type"] = "text/html; charset=utf-8"
    response.headers["Content-Disposition"] = f'attachment; filename="{found.slug}-{part.slug}.{language}.html"'
    return response


def _closed(found: Course, part: Lesson) -> ResponseReturnValue:
    run = queries.next_runs(session(), [found.id], now=clock.now()).get(found.id)
    return render_template("learning/closed.html", course=found, lesson=part, run=run), 403


def _lesson_context(found: Course, part: Lesson, reader: Reader, language: str) -> dict[str, object]:
    now = clock.now()
    parts = shown.blocks(found, part, language)
    return {
        "course": found,
        "lesson": part,
        "reader": reader,
        "language": language,
        "others": [
            {"code": code, "name": i18n.NAMES[code], "url": url_for("learning.lesson", slug=found.slug, lesson_slug=part.slug, lang=code)}
            for code in found.languages
            if code != language
        ],
        "blocks": parts,
        "stale": sum(block.is_stale for block in parts),
        "cards": lab_cards([block.lab for block in parts if block.lab], reader, now=now),
        "previous": _neighbour(found, part, -1),
        "following": _neighbour(found, part, +1),
        "lang": _asked_language(found),
        "weight": len(shown.offline_page(found, part, language)),
    }


def _asked_language(found: Course) -> str | None:
    """Return the language that the address or the form asks for, None when the page's is meant."""
    wanted = request.values.get("lang")
    return wanted if wanted in found.languages else None


def _neighbour(found: Course, part: Lesson, step: int) -> Lesson | None:
    position = part.number - 1 + step
    return found.lessons[position] if 0 <= position < len(found.lessons) else None


def _next_unread(found: Course, reader: Reader) -> Lesson | None:
    return next((part for part in found.lessons if part.slug not in reader.standing.finished), None)
