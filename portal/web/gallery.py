"""Sample data for the gallery of macros, a page for development that shows every one of them.

Its texts are not in the catalogue: nobody but us reads them. They come from `templates/gallery/words.json`.
"""

import json
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from flask_babel import get_locale
from markupsafe import Markup, escape
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer
from wtforms import (
    BooleanField,
    EmailField,
    FileField,
    IntegerField,
    PasswordField,
    RadioField,
    SelectField,
    SelectMultipleField,
    StringField,
    TextAreaField,
)

# The type stubs are older than WTForms 3.3.
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]
from wtforms.validators import InputRequired

from portal.core import clock
from portal.core.pages import Page
from portal.web import charts
from portal.web.forms import Form

WORDS = Path(__file__).resolve().parent / "templates" / "gallery" / "words.json"
ZONE = ZoneInfo("Africa/Casablanca")
NOW = datetime(2026, 6, 16, 9, 0, 28, tzinfo=UTC)
SIGN_IN_LABELS = {"email": "E-mail", "password": "Password", "remember": "Keep me signed in on this device"}
CODE = """import time, torch

n = 8192
a = torch.randn(n, n, device="cuda", dtype=torch.bfloat16)
b = torch.randn_like(a)
torch.cuda.synchronize()     # wait for the GPU

start = time.perf_counter()
c = a @ b
seconds = time.perf_counter() - start
print(f"{2 * n**3 / seconds / 1e12:.0f} TFLOP/s")
"""


def words(text: str, **values: Any) -> Markup:
    """Return a text of the gallery in the reader's language."""
    shown = _words().get(text, {}).get(_lang(), text)
    return escape(shown) % {name: escape(value) for name, value in values.items()} if values else escape(shown)


def _choices(*values: str) -> list[SelectChoice]:
    return [SelectChoice(value) for value in values]


class ApplicationSample(Form):
    """One field of each kind, with errors at some."""

    name = StringField(validators=[InputRequired()])
    email = EmailField(validators=[InputRequired()])
    hours = IntegerField(validators=[InputRequired()])
    stage = SelectField(choices=_choices("", "idea", "pilot"))
    summary = TextAreaField(validators=[InputRequired()])
    evidence = FileField()
    topics = SelectMultipleField(choices=_choices("energy", "health"))
    terms = BooleanField(validators=[InputRequired()])


class SignInSample(Form):
    """Sign-in, as a card."""

    email = EmailField(validators=[InputRequired()])
    password = PasswordField(validators=[InputRequired()])
    remember = BooleanField()


class LaunchSample(Form):
    """Machine and duration."""

    profile = RadioField(choices=_choices("cpu", "small", "large", "full", "four"), validators=[InputRequired()])
    hours = RadioField(choices=_choices("1", "2", "4", "8"), validators=[InputRequired()])
    environment = SelectField(choices=_choices("PyTorch 2.8, Python 3.12", "JAX 0.6, Python 3.12"), validators=[InputRequired()])
    wallet = SelectField(choices=_choices("Darija speech", "Tranche 2"), validators=[InputRequired()])


class ReviewSample(Form):
    """Two criteria and two comments."""

    feasibility = RadioField(choices=_choices(*"12345"), validators=[InputRequired()])
    computing = RadioField(choices=_choices(*"12345"), validators=[InputRequired()])
    comment = TextAreaField(validators=[InputRequired()])
    private = TextAreaField()


def sample() -> dict[str, Any]:
    """Return what `gallery.html` needs beside the layout's context."""
    return {
        "t": words,
        "now": NOW,
        "just_now": clock.now() - timedelta(seconds=28),
        "hour": timedelta(hours=1),
        "minute": timedelta(minutes=1),
        "application": _application(),
        "sign_in": _labelled(SignInSample(formdata=None), **SIGN_IN_LABELS),
        "launch": _launch(),
        "review": _review(),
        "code": Markup(highlight(CODE, PythonLexer(), HtmlFormatter(nowrap=True))),  # noqa: S704 -- our own text, escaped by Pygments
        "burn_down": _burn_down(),
        "daily": _daily(),
        "list_page": Page([], next_mark="after:1", previous_mark="before:2"),
        "statement": STATEMENT,
    }


STATEMENT = [
    {
        "what": "Tokeniser training",
        "note": "H100 slice, 40 GB",
        "seconds": 2880,
        "rate": 12_000_000,
        "hours": 0,
        "wh": 290,
        "ucr": -9_600_000,
        "left": 1_284_400_000,
    },
    {"what": "Evaluation run 7", "note": "Full H100", "seconds": 5400, "rate": 24_000_000, "hours": 12, "wh": 1220, "ucr": -36_000_000, "left": 1_294_000_000},
    {
        "what": "Refund: node fault",
        "note": "Incident 2026-31",
        "seconds": 900,
        "rate": 28_000_000,
        "hours": 20,
        "wh": None,
        "ucr": 7_000_000,
        "left": 1_330_000_000,
    },
    {
        "what": "Notebook, unit 5",
        "note": "H100 slice, 10 GB",
        "seconds": 7200,
        "rate": 4_000_000,
        "hours": 70,
        "wh": 210,
        "ucr": -8_000_000,
        "left": 1_353_000_000,
    },
]


def _labelled(form: Any, **labels: str) -> Any:
    for name, text in labels.items():
        form[name].label.text = words(text)
    return form


def _application() -> Any:
    form = ApplicationSample(
        formdata=None, name="دارجة Speech", email="salma@example", summary="Speech recognition for Moroccan call centres.\nMeasured on 41 h of calls."
    )
    _labelled(
        form,
        name="Name of the venture",
        email="E-mail",
        hours="GPU-hours a month",
        stage="Stage",
        summary="What you build",
        evidence="Evidence",
        topics="Topics",
        terms="I accept the terms of the programme",
    )
    form.stage.choices = [SelectChoice("", words("Choose a stage")), SelectChoice("idea", words("Idea")), SelectChoice("pilot", words("Pilot"))]
    form.topics.choices = [SelectChoice("energy", words("Energy")), SelectChoice("health", words("Health"))]
    form.email.errors = [words("This is not a complete e-mail address.")]
    form.terms.errors = [words("Please accept the terms to go on.")]
    return form


def _launch() -> Any:
    form = LaunchSample(formdata=None, profile="full", hours="2")
    _labelled(form, profile="Machine", hours="Duration", environment="Environment", wallet="Pay from")
    names = {"cpu": "CPU notebook", "small": "H100 slice, small", "large": "H100 slice, large", "full": "Full H100", "four": "Four H100"}
    form.profile.choices = [SelectChoice(key, words(name)) for key, name in names.items()]
    return form


def _review() -> Any:
    form = ReviewSample(formdata=None, feasibility="3", comment="Le protocole de vol est clair et les essais sur deux parcelles sont convaincants.")
    return _labelled(
        form, feasibility="Technical feasibility", computing="Need for GPU computing", comment="Comment for the applicants", private="Note for the committee"
    )


def _burn_down() -> tuple[charts.Drawing, charts.Drawing]:
    days = [(4, 1, 1000), (4, 15, 905), (5, 1, 730), (5, 15, 520), (5, 31, 360), (6, 1, 1460), (6, 9, 1370), (6, 16, 1284.4)]
    points = [(datetime(2026, month, day, tzinfo=UTC), value) for month, day, value in days]
    forecast = charts.Forecast(
        zero_at=datetime(2026, 10, 6, tzinfo=UTC),
        early_at=datetime(2026, 9, 14, tzinfo=UTC),
        late_at=datetime(2026, 11, 9, tzinfo=UTC),
        lines=[words("Forecast: 6 October"), words("14 Sep – 9 Nov")],
    )
    return charts.burn_down(
        points,
        now_text=words("1 284.40 now"),
        lang=_lang(),
        tz=ZONE,
        events=[charts.Event(datetime(2026, 7, 31, tzinfo=UTC), words("Tranche 1 ends"))],
        forecast=forecast,
        until=datetime(2026, 12, 15, tzinfo=UTC),
    )


def _daily() -> tuple[charts.Drawing, charts.Drawing]:
    used = [0, 3.2, 12.5, 9.1, 0, 22.4, 31.8, 17.2, 8, 8, 0, 4.5, 30, 43, 9.6]
    return charts.columns([(str(date(2026, 6, 2 + i).day), value) for i, value in enumerate(used)], lang=_lang())


def _lang() -> str:
    locale = get_locale()
    return locale.language if locale else "en"


@cache
def _words() -> dict[str, dict[str, str]]:
    loaded: dict[str, dict[str, str]] = json.loads(WORDS.read_text(encoding="utf-8"))
    return loaded
