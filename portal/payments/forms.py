"""Forms of payments: shape alone."""

import csv
import io
from contextlib import closing
from datetime import date
from typing import Any

from babel import Locale
from flask_babel import gettext, lazy_gettext
from flask_wtf.file import FileField, FileRequired
from wtforms import DateField, HiddenField, IntegerField, RadioField, SelectField, StringField, TextAreaField
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]  # newer than its type stubs
from wtforms.validators import DataRequired, InputRequired, Length, NumberRange, Optional, ValidationError

from portal.credits.states import Currency
from portal.payments.operations.bank_transfers import BankLine
from portal.payments.rules.amounts import NotMoney, parse_money
from portal.payments.rules.prices import MAX_CREDITS, MIN_CREDITS
from portal.payments.states import Method
from portal.web.forms import Form, stripped

MOST_LINES = 2000
NO_COUNTRIES = {"EU", "EZ", "UN", "ZZ", "XA", "XB", "QO"}
MOST_BYTES = 400_000
CURRENCIES = [SelectChoice(one.value, one.value) for one in Currency]
COLUMNS = ("id", "date", "amount", "currency", "payer", "text")


def countries(locale: Locale) -> list[tuple[str, str]]:
    """Return code and name of every country, Morocco first, the rest by name in the reader's language."""
    known = {code: name for code, name in locale.territories.items() if len(code) == 2 and code.isalpha() and code not in NO_COUNTRIES}
    rest = sorted(((code, name) for code, name in known.items() if code != "MA"), key=lambda item: item[1].casefold())
    return [("MA", known.get("MA", "MA")), *rest]


def _required() -> list[Any]:
    return [DataRequired(message=lazy_gettext("Please fill this in."))]


class MoneyField(StringField):
    """Money as people write it, "1200.50" or "1200,50"; `minor` holds the minor units, None until it reads well."""

    minor: int | None = None

    def pre_validate(self, form: Any) -> None:
        """Read the amount: plain ASCII digits, at most two places, no sign, no exponent."""
        del form
        try:
            self.minor = parse_money(self.data or "")
        except NotMoney as error:
            raise ValidationError(gettext("Enter an amount of money such as 1200 or 1200.50.")) from error
        if self.minor == 0:
            raise ValidationError(gettext("Enter an amount above zero."))


class BuyForm(Form):
    quantity = IntegerField(
        lazy_gettext("Credits"),
        validators=[InputRequired(message=lazy_gettext("Enter a whole number of credits.")), NumberRange(MIN_CREDITS, MAX_CREDITS)],
    )
    currency = RadioField(lazy_gettext("Currency"), choices=CURRENCIES, default=Currency.MAD.value)
    method = RadioField(lazy_gettext("How you pay"), choices=[], validators=_required())
    name = StringField(lazy_gettext("Name on the invoice"), filters=[stripped], validators=[*_required(), Length(max=160)])
    address = TextAreaField(lazy_gettext("Address"), filters=[stripped], validators=[*_required(), Length(max=400)])
    country = SelectField(lazy_gettext("Country"), choices=[], default="MA", validators=_required())
    tax_id = StringField(lazy_gettext("Tax number of the firm"), filters=[stripped], validators=[Optional(), Length(max=40)])
    # What the price shown was made of: a price or quantity that has changed since is shown again before it is placed.
    quoted = HiddenField()

    def validate_quantity(self, field: Any) -> None:
        """Say the limits in the reader's language."""
        if isinstance(field.data, int) and not MIN_CREDITS <= field.data <= MAX_CREDITS:
            raise ValidationError(gettext("Choose a whole number from %(least)s to %(most)s.", least=MIN_CREDITS, most=MAX_CREDITS))

    def offer(self, locale: Locale, *, has_card: bool) -> None:
        """Set the choices of this deployment and language."""
        self.country.choices = [SelectChoice(code, name) for code, name in countries(locale)]
        bank = SelectChoice(Method.BANK.value, gettext("Bank transfer"))
        self.method.choices = [SelectChoice(Method.CARD.value, gettext("Card")), bank] if has_card else [bank]


class ReasonForm(Form):
    reason = TextAreaField(lazy_gettext("Reason"), filters=[stripped], validators=[*_required(), Length(max=500)])


class RefundForm(ReasonForm):
    amount = MoneyField(lazy_gettext("Amount"), validators=_required())


class TransferForm(Form):
    bank_line = StringField(lazy_gettext("The bank's number of the line"), filters=[stripped], validators=[*_required(), Length(max=80)])
    arrived_on = DateField(lazy_gettext("Day of arrival"), validators=_required())
    amount = MoneyField(lazy_gettext("Amount"), validators=_required())
    currency = RadioField(lazy_gettext("Currency"), choices=CURRENCIES, default=Currency.MAD.value)
    payer = StringField(lazy_gettext("Payer"), filters=[stripped], validators=[*_required(), Length(max=160)])
    text = StringField(lazy_gettext("Text of the transfer"), filters=[stripped], validators=[Optional(), Length(max=400)])

    def line(self) -> BankLine:
        """Return what was entered; valid forms only."""
        arrived_on = self.arrived_on.data or date.min
        currency = Currency(self.currency.data)
        return BankLine(str(self.bank_line.data), arrived_on, currency, self.amount.minor or 0, str(self.payer.data), self.text.data or "")


class BankListForm(Form):
    file = FileField(lazy_gettext("The bank's list, as CSV"), validators=[FileRequired(message=lazy_gettext("Choose a file."))])
    lines: list[BankLine]

    def validate_file(self, field: Any) -> None:
        """Read the whole list; a line that cannot be read refuses all of it, and every such line is named."""
        with closing(field.data) as upload:
            raw = upload.read(MOST_BYTES + 1)
        if len(raw) > MOST_BYTES:
            raise ValidationError(gettext("The file is larger than 400 kB."))
        try:
            text = raw.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise ValidationError(gettext("The file is not UTF-8 text.")) from error
        rows = csv.DictReader(io.StringIO(text), delimiter=";" if text.partition("\n")[0].count(";") > 3 else ",")
        if not set(COLUMNS) <= set(rows.fieldnames or ()):
            raise ValidationError(gettext("The first line must name the columns %(columns)s.", columns=", ".join(COLUMNS)))
        self.lines, wrong = [], []
        for number, row in enumerate(rows, start=2):
            if number > MOST_LINES + 1:
                raise ValidationError(gettext("The list has more than %(most)s lines. Send it in parts.", most=MOST_LINES))
            line = _bank_line(row)
            if line is None:
                wrong.append(number)
            else:
                self.lines.append(line)
        if wrong:
            shown = ", ".join(str(number) for number in wrong[:20])
            raise ValidationError(gettext("Nothing was entered: these lines cannot be read: %(lines)s.", lines=shown))


def _bank_line(row: dict[str, str | None]) -> BankLine | None:
    cells = {name: (row.get(name) or "").strip() for name in COLUMNS}
    try:
        arrived_on, currency, amount_minor = date.fromisoformat(cells["date"]), Currency(cells["currency"].upper()), parse_money(cells["amount"])
    except ValueError:
        return None
    if not cells["id"] or amount_minor == 0 or any(len(cells[name]) > 400 for name in COLUMNS):
        return None
    return BankLine(cells["id"][:80], arrived_on, currency, amount_minor, cells["payer"][:160], cells["text"])


class MatchForm(Form):
    purchase = IntegerField(lazy_gettext("Number of the purchase"), validators=[InputRequired(message=lazy_gettext("Please fill this in."))])


class NoteForm(Form):
    note = StringField(lazy_gettext("What it is"), filters=[stripped], validators=[*_required(), Length(max=400)])


class ResolveForm(Form):
    resolution = StringField(lazy_gettext("What it was"), filters=[stripped], validators=[*_required(), Length(max=500)])


class PriceListForm(Form):
    starts_on = DateField(lazy_gettext("First day"), validators=_required())
    mad = TextAreaField(lazy_gettext("Prices in MAD"), validators=_required())
    eur = TextAreaField(lazy_gettext("Prices in EUR"), validators=_required())
    usd = TextAreaField(lazy_gettext("Prices in USD"), validators=_required())
