"""Buying credits for a project's wallet: choose, see the whole price, place the order."""

from flask import redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from portal.core import clock
from portal.core.ids import new_id
from portal.credits.states import Currency
from portal.payments.forms import BuyForm
from portal.payments.operations import purchases
from portal.payments.operations.purchases import BillTo
from portal.payments.queries import prices
from portal.payments.queries.purchases import BuyingFor, buying_for
from portal.payments.rules.prices import MOROCCAN_VAT_PPM, Quote, cheaper_step
from portal.payments.states import Method
from portal.payments.views.base import blueprint, payment_service
from portal.web import access, i18n
from portal.web.actors import current_actor
from portal.web.database import session
from portal.web.once import once_view


@blueprint.route("/wallets/<ref>/buy", methods=["GET", "POST"])
@access.signed_in
@once_view
def buy(ref: str) -> ResponseReturnValue:
    """Show the prices and take an order; nothing is placed before the person saw exactly what it costs."""
    now, db = clock.now(), session()
    wallet = buying_for(db, ref, actor=current_actor())
    listed = prices.current(db, now=now)
    form = BuyForm()
    form.offer(i18n.current_locale(), has_card=payment_service() is not None)
    quote: Quote | None = None
    if form.validate_on_submit():
        with form.catching():
            quote = prices.quote(db, quantity=form.quantity.data or 0, currency=Currency(form.currency.data), country=form.country.data, now=now)
            if form.quoted.data == _seal(quote, form):
                return _place(form, wallet, quote)
    cheaper = cheaper_step(listed.steps[quote.currency], quote.quantity) if quote is not None else None
    form.quoted.data = _seal(quote, form) if quote is not None else ""
    return render_template(
        "payments/buy.html", form=form, wallet=wallet, prices=listed, quote=quote, cheaper=cheaper, currencies=list(Currency), vat_ppm=MOROCCAN_VAT_PPM
    ), form.status


def _seal(quote: Quote, form: BuyForm) -> str:
    return f"{quote.quantity}-{quote.gross_minor}-{quote.currency.value}-{form.country.data}-{form.method.data}"


def _place(form: BuyForm, wallet: BuyingFor, quote: Quote) -> ResponseReturnValue:
    db, now, actor = session(), clock.now(), current_actor()
    method, purchase_id = Method(form.method.data), new_id()
    bill_to = BillTo(str(form.name.data), str(form.address.data), str(form.country.data), form.tax_id.data or "")
    number = purchases.place(
        db,
        purchase_id=purchase_id,
        wallet_id=wallet.wallet_id,
        quote=quote,
        method=method,
        bill_to=bill_to,
        language=str(i18n.current_locale()),
        by=actor,
        now=now,
    )
    if method is Method.CARD:
        purchases.open_checkout(db, purchase_id=purchase_id, by=actor, now=now)
        return redirect(url_for("payments.checkout", number=number), 303)
    return redirect(url_for("payments.purchase", number=number), 303)
