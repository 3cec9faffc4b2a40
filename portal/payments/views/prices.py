"""Price lists: what holds, what comes, publishing the next one."""

from datetime import date, datetime, time
from zoneinfo import ZoneInfo

from flask import redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from portal.core import clock
from portal.credits.states import Currency
from portal.payments.forms import PriceListForm
from portal.payments.operations import prices as operations
from portal.payments.permissions import HOLDERS, Permission
from portal.payments.queries import prices as queries
from portal.payments.rules.amounts import NotMoney, parse_money
from portal.payments.rules.prices import Step
from portal.payments.views.base import blueprint
from portal.settings import TIME_ZONE
from portal.web import access
from portal.web.actors import current_actor
from portal.web.database import session
from portal.web.once import once_view


@blueprint.get("/finance/prices")
@access.needs(Permission.PUBLISH_PRICES, HOLDERS)
def price_lists() -> ResponseReturnValue:
    """List price lists, newest first."""
    now = clock.now()
    rows = queries.lists(session())
    holds = next((row.id for row in rows if row.starts_at <= now), None)
    return render_template("payments/prices.html", lists=rows, holds=holds, now=now, currencies=list(Currency))


@blueprint.route("/finance/prices/new", methods=["GET", "POST"])
@access.needs(Permission.PUBLISH_PRICES, HOLDERS)
@once_view
def new_price_list() -> ResponseReturnValue:
    """Publish a price list; it is never changed afterwards."""
    form, now = PriceListForm(), clock.now()
    if not form.is_submitted():
        _fill_from_latest(form)
    if form.validate_on_submit():
        steps = {currency: _steps(form, currency) for currency in Currency}
        on = form.starts_on.data
        if not form.errors and isinstance(on, date):
            with form.catching():
                starts_at = datetime.combine(on, time.min, ZoneInfo(TIME_ZONE))
                operations.publish(session(), starts_at=starts_at, steps=steps, by=current_actor(), now=now)
                return redirect(url_for("payments.price_lists"), 303)
    return render_template("payments/new_prices.html", form=form), form.status


def _fill_from_latest(form: PriceListForm) -> None:
    latest = next(iter(queries.lists(session(), most=1)), None)
    for currency in Currency if latest is not None else ():
        rows = latest.steps[currency] if latest is not None else []
        form[currency.value.lower()].data = "\n".join(f"{step.from_credits}: {step.unit_minor / 100:.2f}" for step in rows)


def _steps(form: PriceListForm, currency: Currency) -> list[Step]:
    """Return the steps written as lines "from: price"; a line that cannot be read becomes its field's error."""
    field, steps = form[currency.value.lower()], []
    for line in (field.data or "").splitlines():
        quantity, _, price = line.partition(":")
        if not line.strip():
            continue
        try:
            steps.append(Step(int(quantity.strip()), parse_money(price)))
        except (NotMoney, ValueError):
            field.errors = [
                *field.errors,
                gettext("This line cannot be read: %(line)s. Write “100: 9.50” for 9.50 each from 100 credits on.", line=line.strip()),
            ]
    return steps
