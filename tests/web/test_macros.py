"""The macros: what they write, checked by a strict reader; undefined names are errors."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from wtforms import BooleanField, PasswordField, RadioField, SelectChoice, SelectMultipleField, StringField, TextAreaField
from wtforms.validators import InputRequired

from portal.core.pages import Page
from portal.web.forms import Form
from tests.web.looks import Reader, look_app, read

Write = Callable[..., Reader]


@pytest.fixture(scope="module")
def app() -> Flask:
    return look_app()


@pytest.fixture
def write(app: Flask) -> Write:
    """Render a template text in one language and read it."""

    def render(source: str, lang: str = "en", **values: Any) -> Reader:
        with app.test_request_context("/", headers={"Accept-Language": lang}):
            made = values.pop("make", dict)()
            context: dict[str, Any] = {}
            app.update_template_context(context)
            page = read(app.jinja_env.from_string(source).render(**context, **values, **made))
        assert page.mistakes == []
        return page

    return render


class Sample(Form):
    """A form with one field of the kinds that differ."""

    name = StringField("Name", validators=[InputRequired()], description="As on the certificate.")
    summary = TextAreaField("Summary")
    password = PasswordField("Password", validators=[InputRequired()])
    machine = RadioField("Machine", choices=[SelectChoice("small", "Small"), SelectChoice("large", "Large")], validators=[InputRequired()])
    topics = SelectMultipleField("Topics", choices=[SelectChoice("a", "A"), SelectChoice("b", "B")])
    terms = BooleanField("I accept", validators=[InputRequired()])


FIELDS = '{% from "macros/fields.html" import form_of, field, options, segments, checkboxes, autosave_status %}'


def refused() -> dict[str, Any]:
    form: Any = Sample(formdata=None, name="<b>", machine="large")
    form.name.errors = ["Too short."]
    form.machine.errors = ["Not free."]
    form.general_errors.append("The call is closed.")
    return {"form": form}


def clean() -> dict[str, Any]:
    return {"form": Sample(formdata=None, machine="large", topics=["b"])}


def test_field_ties_label_help_and_error_to_the_input(write: Write) -> None:
    page = write(FIELDS + "{{ field(form.name) }}", make=refused)
    field = page.one("input", id="name")

    assert field.attributes["value"] == "<b>"
    assert field.attributes["aria-invalid"] == "true"
    assert field.attributes["aria-describedby"] == "name-error name-help"
    assert page.one("label", for_="name").text == "Name"
    assert page.one("p", id="name-error").text == "Too short."
    assert page.one("div", id="name-help").text == "As on the certificate."


def test_field_without_error_claims_none(write: Write) -> None:
    page = write(FIELDS + "{{ field(form.summary) }}", make=clean)
    field = page.one("textarea", id="summary")

    assert "aria-invalid" not in field.attributes
    assert "aria-describedby" not in field.attributes
    assert page.one("label", for_="summary").text == "Summary (optional)"


def test_direction_of_a_field_is_its_texts_own(write: Write) -> None:
    page = write(FIELDS + "{{ field(form.name) }}{{ field(form.summary, own=false) }}{{ field(form.password) }}", make=clean)
    assert [page.one(tag, id=name).attributes["dir"] for tag, name in (("input", "name"), ("textarea", "summary"), ("input", "password"))] == [
        "auto",
        "ltr",
        "ltr",
    ]


def test_summary_leads_to_each_field_with_an_error(write: Write) -> None:
    source = FIELDS + "{% call form_of(form) %}{{ field(form.name) }}{{ options(form.machine) }}{% endcall %}"
    page = write(source, make=refused)
    ids = {element.attributes["id"] for element in page.elements if "id" in element.attributes}
    links = page.all("a")

    assert [link.text for link in links] == ["Name: Too short.", "Machine: Not free."]
    assert [link.attributes["href"] for link in links] == ["#name", "#machine-0"]
    assert {link.attributes["href"][1:] for link in links} <= ids
    assert "The call is closed." in page.one("div", role="alert").text


def test_form_carries_its_tokens_and_the_guard(write: Write) -> None:
    page = write(FIELDS + '{% call form_of(form, url="/apply", autosave_url="/save", revision="7") %}{{ autosave_status() }}{% endcall %}', make=clean)
    form = page.one("form")

    assert (form.attributes["method"], form.attributes["action"]) == ("post", "/apply")
    assert {"novalidate", "data-once"} <= form.attributes.keys()
    assert (form.attributes["data-autosave"], form.attributes["data-revision"]) == ("/save", "7")
    assert "enctype" not in form.attributes
    assert [field.attributes["name"] for field in page.all("input", type="hidden")] == ["once", "csrf_token"]
    assert all(field.attributes["value"] for field in page.all("input", type="hidden"))
    assert page.all("div", role="alert") == []
    assert page.one("p", aria_live="polite").attributes.keys() >= {"data-autosave-status", "data-saving", "data-lost", "data-refused"}


def test_options_are_one_group_with_one_chosen(write: Write) -> None:
    source = FIELDS + '{{ options(form.machine, {"small": {"note": "10 GB", "facts": [("4.00", "credits/h")]}}, autosave=true) }}'
    page = write(source, make=refused)
    radios = page.all("input", type="radio")

    assert page.one("legend").text == "Machine"
    assert page.one("fieldset").attributes["aria-describedby"] == "machine-error"
    assert [(radio.attributes["id"], radio.attributes["value"], "checked" in radio.attributes) for radio in radios] == [
        ("machine-0", "small", False),
        ("machine-1", "large", True),
    ]
    assert all("data-autosave-field" in radio.attributes for radio in radios)


def test_segments_with_nothing_chosen_stay_empty(write: Write) -> None:
    page = write(FIELDS + '{{ segments(form.machine, scale=true, ends=("low", "high"), weight="25 %") }}', make=lambda: {"form": Sample(formdata=None)})
    assert [radio for radio in page.all("input") if "checked" in radio.attributes] == []
    assert page.one("legend").text == "Machine 25 %"


def test_checkboxes_of_a_list_keep_what_was_chosen(write: Write) -> None:
    page = write(FIELDS + "{{ checkboxes(form.topics) }}{{ field(form.terms) }}", make=clean)
    boxes = page.all("input", type="checkbox")
    assert [(box.attributes["name"], "checked" in box.attributes) for box in boxes] == [("topics", False), ("topics", True), ("terms", False)]
    assert {label.attributes["for"] for label in page.all("label")} == {box.attributes["id"] for box in boxes}


def test_post_button_is_a_form_with_token_guard_and_fields(write: Write) -> None:
    page = write('{% from "macros/buttons.html" import post_button %}{{ post_button("Stop", "/stop", fields={"reason": "<x>"}, once="t" * 32) }}')
    hidden = {field.attributes["name"]: field.attributes["value"] for field in page.all("input", type="hidden")}

    assert (page.one("form").attributes["action"], page.one("form").attributes["method"]) == ("/stop", "post")
    assert "data-once" in page.one("form").attributes
    assert hidden.keys() == {"csrf_token", "once", "reason"}
    assert (hidden["once"], hidden["reason"]) == ("t" * 32, "<x>")
    assert page.one("button").text == "Stop"


def test_button_hint_is_read_and_label_is_escaped(write: Write) -> None:
    page = write('{% from "macros/buttons.html" import button, link_button %}{{ button("<i>", hint=": small") }}{{ link_button("Go", "/x?a=1&b=2") }}')
    assert page.one("button").text == "<i>: small"
    assert page.one("a").attributes["href"] == "/x?a=1&b=2"
    assert page.all("i") == []


def test_tri_shows_three_numbers_that_add_up(write: Write) -> None:
    page = write('{% from "macros/credits.html" import tri %}{{ tri(10009999, 1) }}')
    assert [element.text for element in page.all("dd")] == ["10.00", "0.00", "10.00"]
    assert [element.text for element in page.all("dt")] == ["Balance", "Held", "Free"]


@pytest.mark.parametrize(
    ("total", "free", "held", "widths"),
    [
        (2_100_000_000, 1_258_000_000, 26_400_000, ["59.9", "1.2"]),
        (0, 0, 0, ["0", "0"]),
        (10, 20, 0, ["100", "0"]),
        (10, -5, 5, ["0", "50.0"]),
        (10, 8, 5, ["80.0", "20.0"]),
    ],
)
def test_meter_stays_inside_its_frame(write: Write, total: int, free: int, held: int, widths: list[str]) -> None:
    page = write('{% from "macros/credits.html" import meter %}{{ meter(total, free, held, "words") }}', total=total, free=free, held=held)
    assert [rect.attributes["width"] for rect in page.all("rect")] == widths
    assert page.one("svg").attributes["aria-label"] == "words"


def test_timeline_takes_rows_without_optional_keys(write: Write) -> None:
    page = write(
        '{% from "macros/timeline.html" import timeline, steps %}{{ timeline([{"title": "A"}, {"title": "B", "state": "on", "badge": ("warn", "Due")}]) }}'
        '{{ steps([{"title": "C", "state": "done"}, {"title": "D"}]) }}'
    )
    assert [(item.text.strip(), item.attributes.get("aria-current")) for item in page.all("li")] == [
        ("A", None),
        ("BDue", "step"),
        ("Cdone", None),
        ("D", None),
    ]


def test_table_names_its_columns_and_rows(write: Write) -> None:
    page = write(
        '{% from "macros/tables.html" import table, head_cell, figure %}'
        '{% call(row) table("Lots", [("Lot", ""), ("Left", "n")], [{"name": "<b>", "left": 7, "current": true}]) %}'
        '{{ head_cell(row.name, url="/lot") }}{{ figure(row.left, label="Left") }}{% endcall %}'
    )
    assert page.one("caption").text == "Lots"
    assert [cell.attributes["scope"] for cell in page.all("th")] == ["col", "col", "row"]
    assert page.all("tr")[1].attributes["aria-current"] == "true"
    assert page.one("td").attributes == {"class": "n", "data-l": "Left"}
    assert page.one("a").text == "<b>"


@pytest.mark.parametrize(
    ("rows", "links"),
    [
        (Page([]), []),
        (Page([], next_mark="after:x"), [("next", "/dev/gallery?mark=after:x&q=a")]),
        (Page([], next_mark="after:x", previous_mark="before:y"), [("prev", "/dev/gallery?mark=before:y&q=a"), ("next", "/dev/gallery?mark=after:x&q=a")]),
    ],
)
def test_pager_links_the_neighbours(write: Write, rows: Page[Any], links: list[tuple[str, str]]) -> None:
    page = write('{% from "macros/tables.html" import pager %}{{ pager(rows, "gallery", q="a") }}', rows=rows)
    assert [(link.attributes["rel"], link.attributes["href"]) for link in page.all("a")] == links
    assert len(page.all("nav")) == (1 if links else 0)


def test_texts_of_people_keep_their_paragraphs_and_stay_text(write: Write) -> None:
    page = write(
        '{% from "macros/texts.html" import own_paragraphs, in_language %}{{ own_paragraphs(text) }}{% call in_language("ar") %}ا{% endcall %}',
        text="a\r\nb\n\n<script>c",
    )
    assert [(part.text, part.attributes["dir"]) for part in page.all("p")] == [("a\nb", "auto"), ("<script>c", "auto")]
    assert (page.one("div").attributes["lang"], page.one("div").attributes["dir"]) == ("ar", "rtl")


def test_flash_of_a_refusal_is_an_alert(write: Write) -> None:
    page = write('{% from "macros/notes.html" import flash_notes %}{{ flash_notes([("error", "No."), ("success", "Yes."), ("message", "So.")]) }}')
    notes = [element for element in page.all("div") if "role" in element.attributes]
    assert [(note.attributes["role"], note.attributes["class"], note.text.strip()) for note in notes] == [
        ("alert", "note note-bad", "No."),
        ("status", "note note-good", "Yes."),
        ("status", "note note-info", "So."),
    ]


def test_every_badge_has_a_drawn_shape(write: Write) -> None:
    kinds = ["good", "info", "warn", "bad", "held", "neutral"]
    page = write('{% from "macros/badges.html" import badge %}{% for kind in kinds %}{{ badge(kind, "Word") }}{% endfor %}', kinds=kinds)
    assert [tag.attributes["class"] for tag in page.all("span") if "class" in tag.attributes] == [f"tag tag-{kind}" for kind in kinds]


def test_icon_is_silent_without_a_label(write: Write) -> None:
    page = write('{% from "_icons.html" import icon %}{{ icon("go") }}{{ icon("play", label="Start") }}')
    go, play = page.all("svg")
    assert (go.attributes["class"], go.attributes["aria-hidden"]) == ("ic ic-dir", "true")
    assert (play.attributes["class"], play.attributes["role"], play.attributes["aria-label"]) == ("ic", "img", "Start")


@pytest.mark.parametrize("lang", ["en", "fr", "ar"])
@pytest.mark.parametrize("path", ["/dev/gallery", "/dev/public", "/dev/card"])
def test_whole_page_is_sound(app: Flask, path: str, lang: str) -> None:
    answer = app.test_client().get(path, headers={"Accept-Language": lang})
    page = read(answer.text)
    ids = [element.attributes["id"] for element in page.elements if "id" in element.attributes]

    assert answer.status_code == 200
    assert page.mistakes == []
    assert sorted(i for i in set(ids) if ids.count(i) > 1) == []
    for element in page.elements:
        assert [name for name in element.attributes if name == "style" or name.startswith("on")] == [], element
        for name in ("aria-describedby", "aria-labelledby", "for"):
            assert set(element.attributes.get(name, "").split()) <= set(ids), element
    assert (page.one("html").attributes["lang"], page.one("html").attributes["dir"]) == (lang, "rtl" if lang == "ar" else "ltr")
    assert len(page.all("h1")) == 1
    assert all("csrf_token" in form_fields(page, form) for form in page.all("form", method="post"))


def form_fields(page: Reader, form: Any) -> set[str]:
    """Return the names of a form's fields: those between it and the next form."""
    start = page.elements.index(form)
    names = set()
    for element in page.elements[start + 1 :]:
        if "form" not in element.parents:
            break
        names.add(element.attributes.get("name", ""))
    return names


def test_choice_of_language_posts_and_comes_back(app: Flask) -> None:
    page = read(app.test_client().get("/dev/gallery?a=1").text)
    button = page.one("button", formaction="/language/ar")

    assert (button.attributes["lang"], button.attributes["dir"], button.text) == ("ar", "rtl", "العربية")
    assert page.all("input", name="next")[0].attributes["value"] == "/dev/gallery?a=1"
    assert page.one("button", formaction="/language/en").attributes["aria-current"] == "true"


def test_errors_say_what_happened_and_leave_out_what_is_empty(app: Flask) -> None:
    error = {"status": 404, "title": "Nothing", "what_happened": "Gone.", "what_was_kept": "", "what_to_do": "Go back.", "reference": "r-1"}
    for name, more in (("errors/error.html", {}), ("errors/plain.html", {"lang": "ar", "dir": "rtl", "theme": "dark"})):
        with app.test_request_context("/"):
            context: dict[str, Any] = {"error": error, **more}
            if name == "errors/error.html":
                app.update_template_context(context)
            page = read(app.jinja_env.get_template(name).render(context))
        assert page.mistakes == []
        assert page.one("h1").text == "Nothing"
        assert [(term.text, text.text) for term, text in zip(page.all("dt"), page.all("dd"), strict=True)] == [("What to do", "Go back."), ("Reference", "r-1")]
