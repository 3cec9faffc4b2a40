"""Numbers and times as people read them. The narrow space U+202F is written ~ and the no-break space _ below."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import StrictUndefined

from portal.web import formats
from portal.web.formats.filters import isolate, wrap

CASABLANCA = ZoneInfo("Africa/Casablanca")
AT = datetime(2026, 6, 16, 9, 0, 28, tzinfo=UTC)


def spaced(text: str) -> str:
    """Return a text with the two spaces made visible."""
    return text.replace("\u202f", "~").replace("\u00a0", "_")


@pytest.mark.parametrize(
    ("value", "lang", "places", "shown"),
    [
        (1284, "en", 0, "1~284"),
        (1284.4, "en", 2, "1~284.40"),
        (Decimal("1284.4"), "fr", 2, "1~284,40"),
        (1234567, "ar", 0, "1~234~567"),
        (-7, "en", 0, "−7"),
        (Decimal("-0.5"), "fr", 1, "−0,5"),
        (0, "en", 2, "0.00"),
        (Fraction(1, 3), "en", 2, "0.33"),
        (Decimal("0.125"), "en", 2, "0.12"),
        (Decimal("0.135"), "en", 2, "0.14"),
        (0.1, "en", 1, "0.1"),
        (999_999_999_999, "en", 0, "999~999~999~999"),
    ],
)
def test_number_groups_and_decimal_mark(value: int, lang: str, places: int, shown: str) -> None:
    assert spaced(formats.number(value, lang, places=places)) == shown


def test_signed_number_shows_plus_but_not_for_zero() -> None:
    assert [formats.number(n, "en", signed=True) for n in (7, 0, -7)] == ["+7", "0", "−7"]


@pytest.mark.parametrize(
    ("amount_ucr", "shown"),
    [
        (1_284_400_000, "1~284.40"),
        (9_999, "0.00"),
        (10_000, "0.01"),
        (1_999_999, "1.99"),
        (-1, "−0.01"),
        (-9_600_000, "−9.60"),
        (-9_600_001, "−9.61"),
        (2**63 - 1, "9~223~372~036~854.77"),
    ],
)
def test_credits_round_down(amount_ucr: int, shown: str) -> None:
    assert spaced(formats.credits_(amount_ucr, "en")) == shown


@pytest.mark.parametrize(("amount_ucr", "shown"), [(9_603_333, "9.603333"), (9_600_000, "9.60"), (-1, "−0.000001"), (9_610_100, "9.6101"), (0, "0.00")])
def test_exact_credits_keep_every_place(amount_ucr: int, shown: str) -> None:
    assert formats.credits_exact(amount_ucr, "en") == shown


@given(balance=st.integers(-(10**15), 10**15), held=st.integers(0, 10**15))
def test_balance_held_and_free_add_up_as_shown(balance: int, held: int) -> None:
    parts = formats.tri_parts(balance, held)

    assert parts.balance == parts.held + parts.free
    assert parts.balance * 10_000 <= balance
    assert parts.free * 10_000 <= balance - held
    assert abs(parts.held * 10_000 - held) < 10_000


def test_tri_parts_of_hundredths_are_exact() -> None:
    assert formats.tri_parts(1_284_400_000, 26_400_000) == formats.TriParts(balance=128_440, held=2_640, free=125_800)


@pytest.mark.parametrize(
    ("amount_ucr", "english", "french", "arabic"),
    [(1_000_000, 1, 1, 1), (2_000_000, 2, 2, 2), (500_000, 100, 0, 100), (1_500_000, 100, 1, 100), (8_000_000, 8, 8, 8), (-3_000_000, 3, 3, 3)],
)
def test_plural_count_follows_the_grammar_of_each_language(amount_ucr: int, english: int, french: int, arabic: int) -> None:
    assert [formats.plural_count(amount_ucr, lang) for lang in ("en", "fr", "ar")] == [english, french, arabic]


def test_money_uses_the_minor_unit_of_its_currency() -> None:
    shown = [spaced(formats.money(128_440, currency, "fr")) for currency in ("MAD", "EUR", "JPY", "TND")]
    assert shown == ["1~284,40~MAD", "1~284,40~EUR", "128~440~JPY", "128,440~TND"]


@pytest.mark.parametrize(
    ("share", "shown"),
    [(0.94, "94~%"), (1, "100~%"), (Fraction(999, 1000), "99~%"), (Fraction(1, 3), "33~%"), (0, "0~%"), (Fraction(3, 2), "150~%")],
)
def test_percent_never_claims_the_whole_early(share: float, shown: str) -> None:
    assert spaced(formats.percent(share, "en")) == shown


def test_energy_is_kilowatt_hours_with_two_places() -> None:
    assert [spaced(formats.kwh(wh, "fr")) for wh in (290, 1680, 0, 1_234_567)] == ["0,29~kWh", "1,68~kWh", "0,00~kWh", "1~234,57~kWh"]
    assert formats.kwh(290, "en", unit=False) == "0.29"


@pytest.mark.parametrize(
    ("count", "english", "french"),
    [
        (0, "0~B", "0~o"),
        (999, "999~B", "999~o"),
        (1000, "1~kB", "1~ko"),
        (1_400_000, "1.4~MB", "1,4~Mo"),
        (999_999, "1~MB", "1~Mo"),
        (42_400, "42~kB", "42~ko"),
    ],
)
def test_size_has_a_decimal_unit(count: int, english: str, french: str) -> None:
    assert (spaced(formats.size(count, "en")), spaced(formats.size(count, "fr"))) == (english, french)


def test_quantity_translates_the_unit() -> None:
    assert [spaced(formats.quantity(40, "GB", lang)) for lang in ("en", "fr", "ar")] == ["40~GB", "40~Go", "40~GB"]


@pytest.mark.parametrize(
    ("length_s", "english", "arabic"),
    [
        (0, "0~s", "0 ثانية"),
        (28, "28~s", "28 ثانية"),
        (60, "1~min", "دقيقة"),
        (90, "1~min", "دقيقة"),
        (2100, "35~min", "35 دقيقة"),
        (3600, "1~h", "ساعة"),
        (7200, "2~h", "ساعتان"),
        (14_400, "4~h", "4 ساعات"),
        (5400, "1~h_30~min", "ساعة و30 دقيقة"),
        (3900, "1~h_05~min", "ساعة و5 دقائق"),
        (187_200, "52~h", "52 ساعة"),
    ],
)
def test_duration_rounds_down_to_minutes(length_s: int, english: str, arabic: str) -> None:
    assert spaced(formats.duration(length_s, "en")) == english
    assert formats.duration(length_s, "ar") == arabic


def test_exact_duration_keeps_the_seconds() -> None:
    assert spaced(formats.duration(3910, "fr", exact=True)) == "1~h_05~min_10~s"


@pytest.mark.parametrize(
    ("style", "english", "french", "arabic"),
    [
        ("short", "16_Jun", "16_juin", "16_يونيو"),
        ("medium", "16_Jun_2026", "16_juin_2026", "16_يونيو_2026"),
        ("day", "16_June", "16_juin", "16_يونيو"),
        ("long", "16_June_2026", "16_juin_2026", "16_يونيو_2026"),
        ("weekday", "Tuesday_16_June", "mardi_16_juin", "الثلاثاء_16_يونيو"),
        ("full", "Tuesday_16_June_2026", "mardi_16_juin_2026", "الثلاثاء_16_يونيو_2026"),
        ("month", "June_2026", "juin_2026", "يونيو_2026"),
    ],
)
def test_date_in_every_style(style: str, english: str, french: str, arabic: str) -> None:
    assert [spaced(formats.date_(AT, lang, CASABLANCA, style)) for lang in ("en", "fr", "ar")] == [english, french, arabic]


def test_unknown_date_style_is_an_error() -> None:
    with pytest.raises(ValueError, match="Unknown date style 'tiny'"):
        formats.date_(AT, "en", CASABLANCA, "tiny")


def test_arabic_months_are_the_moroccan_ones() -> None:
    months = [formats.date_(date(2026, month, 2), "ar", CASABLANCA, "day").rpartition("\u00a0")[2] for month in range(1, 13)]
    assert months == ["يناير", "فبراير", "مارس", "أبريل", "ماي", "يونيو", "يوليوز", "غشت", "شتنبر", "أكتوبر", "نونبر", "دجنبر"]


def test_french_first_of_a_month_is_an_ordinal() -> None:
    assert spaced(formats.date_(date(2026, 7, 1), "fr", CASABLANCA)) == "1er_juillet_2026"


def test_time_is_shown_in_the_readers_zone() -> None:
    late = datetime(2026, 6, 16, 23, 30, tzinfo=UTC)
    assert formats.clock(late, "en", CASABLANCA) == "00:30"
    assert spaced(formats.datetime_(late, "en", CASABLANCA)) == "17_Jun, 00:30"
    assert spaced(formats.datetime_(late, "ar", ZoneInfo("America/New_York"))) == "16_يونيو، 19:30"


def test_time_without_a_zone_is_an_error() -> None:
    with pytest.raises(ValueError, match="without a zone"):
        formats.clock(AT.replace(tzinfo=None), "en", CASABLANCA)


@pytest.mark.parametrize(
    ("apart", "english", "arabic"),
    [
        (timedelta(seconds=-3), "just now", "الآن"),
        (timedelta(seconds=-28), "28 seconds ago", "قبل 28 ثانية"),
        (timedelta(seconds=-119), "1 minute ago", "قبل دقيقة واحدة"),
        (timedelta(minutes=35), "in 35 minutes", "خلال 35 دقيقة"),
        (timedelta(hours=-47), "47 hours ago", "قبل 47 ساعة"),
        (timedelta(days=-3), "3 days ago", "قبل 3 أيام"),
        (timedelta(days=-400), "400 days ago", "قبل 400 يوم"),
    ],
)
def test_how_long_ago(apart: timedelta, english: str, arabic: str) -> None:
    assert formats.ago(AT + apart, AT, "en") == english
    assert formats.ago(AT + apart, AT, "ar") == arabic


def test_zone_has_a_city_and_a_distance() -> None:
    assert [formats.zone_city("Africa/Casablanca", lang) for lang in ("en", "fr", "ar")] == ["Casablanca", "Casablanca", "الدار البيضاء"]
    zones = ("Africa/Casablanca", "America/St_Johns", "UTC")
    assert [formats.zone_offset(ZoneInfo(zone), AT) for zone in zones] == ["UTC+1", "UTC−2:30", "UTC+0"]
    # In Ramadan Morocco keeps UTC.
    assert formats.zone_offset(CASABLANCA, datetime(2026, 3, 1, tzinfo=UTC)) == "UTC+0"


def test_markup_isolates_numbers_inside_arabic() -> None:
    number = '<bdi class="num" dir="ltr">{}</bdi>'
    assert wrap("−9.60", "ar") == number.format("−9.60")
    assert wrap("16\u00a0يونيو\u00a02026", "ar") == f"{number.format(16)}\u00a0يونيو\u00a0{number.format(2026)}"
    assert wrap("40\u202fGB", "ar") == number.format("40\u202fGB")
    assert wrap("94\u202f%", "ar", small=True) == number.format('94\u202f<span class="u">%</span>')
    assert wrap("8.00 نقاط", "ar") == f"{number.format('8.00')} نقاط"
    assert wrap("1\u202f284.40", "en") == '<span class="num">1\u202f284.40</span>'


def test_markup_escapes_what_is_not_ours() -> None:
    assert wrap("<b>7</b>", "ar") == '&lt;b&gt;<bdi class="num" dir="ltr">7</bdi>&lt;/b&gt;'
    assert wrap("1\u202f<b>", "en", small=True) == '<span class="num">1\u202f<span class="u">&lt;b&gt;</span></span>'


def test_plain_text_isolates_by_characters() -> None:
    assert isolate("خلال 35 دقيقة", "ar") == "خلال \u206635\u2069 دقيقة"
    assert isolate("in 35 minutes", "en") == "in 35 minutes"


class TestFilters:
    """The filters as templates use them."""

    @pytest.fixture
    def say(self):
        reader = {"lang": "en"}

        def plural(singular: str, many: str, num: int) -> str:
            if reader["lang"] == "ar":
                return "نقاط" if 3 <= num % 100 <= 10 else "نقطة"
            return singular if num == 1 else many

        app = Flask("formats")
        app.jinja_env.undefined = StrictUndefined
        context = formats.FormatContext(language=lambda: reader["lang"], timezone=lambda: CASABLANCA, now=lambda: AT, ngettext=plural)
        formats.register(app, context)

        def render(source: str, lang: str = "en", **values: object) -> str:
            reader["lang"] = lang
            return spaced(app.jinja_env.from_string(source).render(**values))

        return render

    def test_language_is_read_at_each_use_even_for_constants(self, say) -> None:
        source = "{{ 1284400000|credits }}"
        app_once = [say(source, lang) for lang in ("en", "fr", "ar")]
        assert app_once == ['<span class="num">1~284.40</span>', '<span class="num">1~284,40</span>', '<bdi class="num" dir="ltr">1~284.40</bdi>']

    def test_same_template_object_follows_the_reader(self) -> None:
        reader = {"lang": "en"}
        app = Flask("formats")
        formats.register(app, formats.FormatContext(language=lambda: reader["lang"], timezone=lambda: UTC, now=lambda: AT, ngettext=lambda s, p, n: p))
        template = app.jinja_env.from_string("{{ 1500000|credits }} {{ 1500000|credit_unit }}")
        english = template.render()
        reader["lang"] = "fr"
        assert (english, template.render()) == ('<span class="num">1.50</span> credits', '<span class="num">1,50</span> credits')

    def test_credits_with_their_word(self, say) -> None:
        assert say("{{ 8000000|credits_words }}") == '<span class="num">8.00 credits</span>'
        assert say("{{ 8000000|credits_words }}", "ar") == '<bdi class="num" dir="ltr">8.00</bdi> نقاط'
        assert say("{{ 12500000|credits_words }}", "ar") == '<bdi class="num" dir="ltr">12.50</bdi> نقطة'

    def test_times_carry_the_machine_form(self, say) -> None:
        assert say("{{ at|clock }}", at=AT) == '<time datetime="2026-06-16T09:00:28+00:00" class="num">10:00</time>'
        assert say("{{ at|ago }}", at=AT - timedelta(hours=3)) == (
            '<time datetime="2026-06-16T06:00:28+00:00" title="16_June_2026, 07:00:28" class="num">3 hours ago</time>'
        )
        assert say("{{ on|date('short') }}", "ar", on=date(2026, 7, 31)) == '<time datetime="2026-07-31"><bdi class="num" dir="ltr">31</bdi>_يوليوز</time>'

    def test_percent_of_a_whole(self, say) -> None:
        assert say("{{ 52|percent_text(of=60) }}") == "87~%"

    def test_text_twin_has_no_markup(self, say) -> None:
        assert say("{{ 2100000000|credits_words_text }}") == "2~100.00 credits"
        assert say("{{ 2100000000|credits_text }}", "ar") == "\u20662~100.00\u2069"

    def test_tri_parts_is_there_for_templates(self, say) -> None:
        assert say("{{ tri_parts(100, 0).free|hundredths_text }}") == "0.00"
