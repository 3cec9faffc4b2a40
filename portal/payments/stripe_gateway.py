"""The one door to Stripe: nothing else imports `stripe`. Called by jobs alone, never inside a transaction.

Every call that makes something carries an idempotency key from our own row, so that a call that timed out after its
effect is answered with that effect. 429 and 5xx are tried again with growing, jittered waits.
"""

import json
import random
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import stripe

from portal.credits.states import Currency
from portal.payments.rules.messages import Checkout, Event, Line, Order
from portal.payments.rules.observations import DisputeOutcome, Observation, Paying, RefundOutcome, SeenDispute, SeenRefund
from portal.settings import StripeSettings

MAX_AGE = timedelta(minutes=5)
RETRIES = 4
_WON, _LOST = {"won", "warning_closed", "prevented"}, {"lost"}


class PaymentServiceAway(RuntimeError):
    """Stripe did not answer, or not yet; whether it acted is found out by asking again with the same key."""


class PaymentServiceRefused(RuntimeError):
    """Stripe answered no."""


class BadSignature(RuntimeError):
    """A message that does not come from Stripe, came too late or too early, or is meant for another mode."""


class PaymentService(Protocol):
    """What jobs need of a payment service; the point where another provider is plugged in."""

    @property
    def is_live(self) -> bool:
        """Return whether real money moves."""
        ...

    def open_checkout(self, order: Order, *, success_url: str, cancel_url: str) -> Checkout:
        """Make a payment page. Raises PaymentServiceAway, PaymentServiceRefused."""
        ...

    def close_checkout(self, checkout_id: str) -> None:
        """Close a payment page; one that is paid or closed stays so. Raises PaymentServiceAway."""
        ...

    def observe(self, *, checkout_id: str | None, payment_id: str | None) -> Observation:
        """Return how a purchase stands. Raises PaymentServiceAway, PaymentServiceRefused."""
        ...

    def refund(self, *, refund_id: uuid.UUID, payment_id: str, amount_minor: int) -> SeenRefund:
        """Send money back. Raises PaymentServiceAway, PaymentServiceRefused."""
        ...

    def events_since(self, instant: datetime) -> Iterator[Event]:
        """Give the messages made since an instant, oldest last. Raises PaymentServiceAway."""
        ...

    def balance_since(self, instant: datetime) -> Iterator[Line]:
        """Give the lines of the balance made since an instant. Raises PaymentServiceAway."""
        ...

    def read_webhook(self, body: bytes, signature: str, *, now: datetime) -> Event:
        """Return the message that a request carries. Raises BadSignature."""
        ...


@dataclass(frozen=True)
class StripeGateway:
    """Talks to Stripe, or to a stand-in at `settings.api_base`."""

    settings: StripeSettings
    client: stripe.StripeClient = field(repr=False)

    @property
    def is_live(self) -> bool:
        """Return whether real money moves."""
        return self.settings.is_live

    def open_checkout(self, order: Order, *, success_url: str, cancel_url: str) -> Checkout:
        """Make a payment page for an order; the same key again returns the same page."""
        price = {
            "currency": order.currency.value.lower(),
            "unit_amount": order.gross_minor,
            "product_data": {"name": f"{order.quantity} GPU credits"},
        }
        params: Any = {
            "mode": "payment",
            "client_reference_id": str(order.purchase_id),
            "line_items": [{"quantity": 1, "price_data": price}],
            "customer_email": order.email,
            "locale": "fr" if order.language == "fr" else "auto",
            "success_url": success_url,
            "cancel_url": cancel_url,
            "metadata": {"purchase": str(order.purchase_id)},
            "payment_intent_data": {"metadata": {"purchase": str(order.purchase_id)}},
        }
        made = _called(lambda: self.client.v1.checkout.sessions.create(params, {"idempotency_key": order.idempotency_key}))
        return Checkout(made.id, str(made.url), _instant(made.expires_at))

    def close_checkout(self, checkout_id: str) -> None:
        """Close a payment page; Stripe refuses that for one that is paid or closed, which is as well."""
        with suppress(PaymentServiceRefused):
            _called(lambda: self.client.v1.checkout.sessions.expire(checkout_id))

    def observe(self, *, checkout_id: str | None, payment_id: str | None) -> Observation:
        """Ask for the page and, once there is a payment, for its refunds and disputes."""
        paying, paid_minor, currency = Paying.OPEN, 0, None
        if checkout_id is not None:
            page = _called(lambda: self.client.v1.checkout.sessions.retrieve(checkout_id))
            self._check_mode(page.livemode)
            payment_id = str(page.payment_intent) if page.payment_intent else payment_id
            paid_minor, currency = int(page.amount_total or 0), Currency(str(page.currency).upper())
            paying = Paying.PAID if page.payment_status == "paid" else Paying.EXPIRED if page.status == "expired" else Paying.OPEN
            if paying is Paying.OPEN and page.status == "complete":
                paying = self._pending(payment_id)
        if payment_id is None:
            return Observation(paying, None, paid_minor, currency)
        refunds = tuple(_refund(one) for one in _called(lambda: self.client.v1.refunds.list({"payment_intent": payment_id, "limit": 100})).auto_paging_iter())
        disputes = _called(lambda: self.client.v1.disputes.list({"payment_intent": payment_id, "limit": 100})).auto_paging_iter()
        return Observation(paying, payment_id, paid_minor, currency, refunds, tuple(_dispute(one) for one in disputes))

    def _pending(self, payment_id: str | None) -> Paying:
        """Return how a payment stands that is neither paid nor refused at once."""
        if payment_id is None:
            return Paying.PENDING
        intent = _called(lambda: self.client.v1.payment_intents.retrieve(payment_id))
        return Paying.FAILED if intent.status in {"requires_payment_method", "canceled"} else Paying.PENDING

    def refund(self, *, refund_id: uuid.UUID, payment_id: str, amount_minor: int) -> SeenRefund:
        """Send money back; the refund's own id is the key."""
        params: Any = {"payment_intent": payment_id, "amount": amount_minor, "metadata": {"refund": str(refund_id)}}
        return _refund(_called(lambda: self.client.v1.refunds.create(params, {"idempotency_key": f"refund-{refund_id}"})))

    def events_since(self, instant: datetime) -> Iterator[Event]:
        """Give messages since an instant, newest first, as Stripe lists them."""
        params: Any = {"created": {"gte": int(instant.timestamp())}, "limit": 100}
        for one in _called(lambda: self.client.v1.events.list(params)).auto_paging_iter():
            yield _event(one.to_dict())

    def balance_since(self, instant: datetime) -> Iterator[Line]:
        """Give lines of the balance since an instant, newest first."""
        params: Any = {"created": {"gte": int(instant.timestamp())}, "limit": 100, "expand": ["data.source"]}
        for one in _called(lambda: self.client.v1.balance_transactions.list(params)).auto_paging_iter():
            yield Line(one.id, one.type, _source(one.source), Currency(one.currency.upper()), one.amount, one.fee, _instant(one.created))

    def read_webhook(self, body: bytes, signature: str, *, now: datetime) -> Event:
        """Check signature, age in both directions, and mode; the library checks no future and no age by itself."""
        for secret in self.settings.webhook_secrets:
            try:
                stripe.WebhookSignature.verify_header(body, signature, secret)
                break
            except (stripe.SignatureVerificationError, UnicodeDecodeError):
                continue
        else:
            raise BadSignature("signature")
        signed_at = next((part.removeprefix("t=") for part in signature.split(",") if part.startswith("t=")), "")
        if not signed_at.isdigit() or abs(now - _instant(int(signed_at))) > MAX_AGE:
            raise BadSignature("age")
        try:
            event = _event(json.loads(body))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise BadSignature("body") from error
        if event.is_live != self.settings.is_live:
            raise BadSignature("mode")
        return event

    def _check_mode(self, is_live: bool) -> None:
        if is_live != self.settings.is_live:
            raise PaymentServiceRefused("an object of the other mode")


def from_settings(settings: StripeSettings | None) -> PaymentService | None:
    """Return the payment service of this deployment, None where none is set up: then people pay by bank transfer."""
    if settings is None:
        return None
    bases: Any = {"api": settings.api_base} if settings.api_base else {}
    http = stripe.RequestsClient(timeout=settings.timeout_s)
    return StripeGateway(settings, stripe.StripeClient(settings.secret_key, base_addresses=bases, max_network_retries=RETRIES, http_client=http))


def library_version() -> str:
    """Return the version of Stripe's library, for `portal doctor`."""
    return stripe.VERSION


def _called(call: Callable[[], Any]) -> Any:
    for attempt in range(RETRIES + 1):
        try:
            return call()
        except stripe.RateLimitError as error:
            # The library waits out broken connections and 5xx by itself, but not this.
            if attempt == RETRIES:
                raise PaymentServiceAway(str(error)) from error
            time.sleep(random.uniform(0.5, 1) * 0.5 * 2**attempt)  # noqa: S311 -- jitter
        except (stripe.APIConnectionError, stripe.APIError) as error:
            raise PaymentServiceAway(str(error)) from error
        except stripe.StripeError as error:
            raise PaymentServiceRefused(str(error)) from error
    raise AssertionError


def _instant(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _source(source: Any) -> str:
    """Return what a line of the balance is about, by the name that our books use: a charge's payment, else the thing itself."""
    if source is None or isinstance(source, str):
        return source or ""
    return str(source.payment_intent if source.object == "charge" and source.payment_intent else source.id)


def _refund(one: Any) -> SeenRefund:
    outcome = {"succeeded": RefundOutcome.DONE, "failed": RefundOutcome.FAILED, "canceled": RefundOutcome.FAILED}.get(one.status, RefundOutcome.PENDING)
    return SeenRefund(one.id, one.amount, outcome, _uuid(one.metadata.to_dict().get("refund") if one.metadata else None))


def _dispute(one: Any) -> SeenDispute:
    outcome = DisputeOutcome.WON if one.status in _WON else DisputeOutcome.LOST if one.status in _LOST else DisputeOutcome.OPEN
    return SeenDispute(one.id, one.amount, outcome, one.reason, _instant(one.created))


def _event(raw: dict[str, Any]) -> Event:
    thing = raw["data"]["object"]
    metadata = thing.get("metadata") or {}
    payment = thing.get("payment_intent") if thing.get("object") != "payment_intent" else thing["id"]
    purchase_id = _uuid(thing.get("client_reference_id")) or _uuid(metadata.get("purchase"))
    return Event(raw["id"], raw["type"], thing.get("id", ""), bool(raw["livemode"]), _instant(raw["created"]), raw, payment or None, purchase_id)


def _uuid(text: str | None) -> uuid.UUID | None:
    try:
        return uuid.UUID(text) if text else None
    except ValueError:
        return None
