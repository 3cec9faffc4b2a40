"""What paying, refunding, disputing and paying out do to the objects, and which messages they make."""

import json
import time
from collections.abc import Callable
from typing import Any

from tests.fakes.stripe_server.store import Store, Thing

FEE_PPM, FEE_FIXED, DISPUTE_FEE = 29_000, 30, 1500
DAY = 86_400
Tell = Callable[[Thing], None]


class Wrong(ValueError):
    """What was asked for is not possible now."""


class Ledger:
    """Acts on a store; `tell` receives each message as it is made."""

    def __init__(self, store: Store, tell: Tell) -> None:
        self.store, self.tell = store, tell

    def open_session(self, *, amount: int, currency: str, url_base: str, **fields: Any) -> Thing:
        """Make a payment page."""
        session = self.store.make(
            "checkout.session",
            amount_total=amount,
            currency=currency,
            status="open",
            payment_status="unpaid",
            payment_intent=None,
            expires_at=int(time.time()) + DAY,
            **fields,
        )
        session["url"] = f"{url_base}/pay/{session['id']}"
        return session

    def expire_session(self, id_: str) -> Thing:
        """Close a payment page. Raises Wrong."""
        session = self.store.get("checkout.session", id_)
        if session["status"] != "open":
            raise Wrong("Only Checkout Sessions with a status of 'open' can be expired.")
        session |= {"status": "expired", "url": None}
        self._event("checkout.session.expired", session)
        return session

    def pay(self, id_: str, *, is_delayed: bool = False, is_declined: bool = False) -> Thing:
        """Pay at a page: at once, or by a way that takes days, or with a card that is declined. Raises Wrong."""
        session = self.store.get("checkout.session", id_)
        if session["status"] != "open" or session["expires_at"] < time.time():
            raise Wrong("This page is closed.")
        intent = self._intent(session)
        if is_declined:
            intent["status"] = "requires_payment_method"
            self._event("payment_intent.payment_failed", intent)
            return session
        session |= {"status": "complete", "url": None}
        if is_delayed:
            intent["status"] = "processing"
            self._event("checkout.session.completed", session)
            return session
        self._succeed(session, intent)
        self._event("checkout.session.completed", session)
        return session

    def settle_delayed(self, id_: str, *, is_paid: bool) -> None:
        """End a delayed payment."""
        session = self.store.get("checkout.session", id_)
        intent = self.store.get("payment_intent", session["payment_intent"])
        if intent["status"] != "processing":
            raise Wrong("Nothing is under way.")
        if is_paid:
            self._succeed(session, intent)
            self._event("checkout.session.async_payment_succeeded", session)
        else:
            intent["status"] = "requires_payment_method"
            self._event("checkout.session.async_payment_failed", session)

    def _intent(self, session: Thing) -> Thing:
        if session["payment_intent"]:
            return self.store.get("payment_intent", session["payment_intent"])
        fields = {"amount": session["amount_total"], "currency": session["currency"], "status": "requires_payment_method"}
        intent = self.store.make("payment_intent", **fields)
        intent["metadata"] = dict(session.get("intent_metadata") or {})
        session["payment_intent"] = intent["id"]
        return intent

    def _succeed(self, session: Thing, intent: Thing) -> None:
        amount = intent["amount"]
        charge = self.store.make("charge", amount=amount, currency=intent["currency"], payment_intent=intent["id"], amount_refunded=0, disputed=False)
        charge["metadata"] = dict(intent["metadata"])
        intent |= {"status": "succeeded", "latest_charge": charge["id"]}
        session["payment_status"] = "paid"
        fee = amount * FEE_PPM // 1_000_000 + FEE_FIXED
        self._money("charge", charge["id"], charge["currency"], amount, fee)
        self._event("payment_intent.succeeded", intent)
        self._event("charge.succeeded", charge)

    def refund(self, *, payment_intent: str, amount: int, metadata: dict[str, str], status: str = "succeeded") -> Thing:
        """Send money back. Raises Wrong."""
        charge = next(iter(self.store.all("charge", payment_intent=payment_intent)), None)
        if charge is None:
            raise Wrong("This PaymentIntent does not have a successful charge to refund.")
        if not 0 < amount <= charge["amount"] - charge["amount_refunded"]:
            raise Wrong("Refund amount is greater than unrefunded amount on charge.")
        charge["amount_refunded"] += amount
        fields = {"amount": amount, "currency": charge["currency"], "payment_intent": payment_intent, "charge": charge["id"], "status": status}
        refund = self.store.make("refund", **fields)
        refund["metadata"] = metadata
        self._money("refund", refund["id"], charge["currency"], -amount, 0)
        self._event("refund.created", refund)
        self._event("charge.refunded", charge)
        return refund

    def fail_refund(self, id_: str) -> None:
        """Let a refund come back, as banks do weeks later. Raises Wrong."""
        refund = self.store.get("refund", id_)
        if refund["status"] == "failed":
            raise Wrong("It failed already.")
        refund["status"] = "failed"
        self.store.get("charge", refund["charge"])["amount_refunded"] -= refund["amount"]
        self._money("refund_failure", refund["id"], refund["currency"], refund["amount"], 0)
        self._event("refund.failed", refund)

    def dispute(self, *, payment_intent: str, amount: int | None = None) -> Thing:
        """Let the buyer's bank take the money."""
        charge = next(iter(self.store.all("charge", payment_intent=payment_intent)))
        charge["disputed"] = True
        taken = amount or charge["amount"] - charge["amount_refunded"]
        fields = {"amount": taken, "currency": charge["currency"], "payment_intent": payment_intent, "charge": charge["id"], "reason": "fraudulent"}
        dispute = self.store.make("dispute", status="needs_response", **fields)
        self._money("adjustment", dispute["id"], charge["currency"], -taken, DISPUTE_FEE)
        self._event("charge.dispute.created", dispute)
        return dispute

    def close_dispute(self, id_: str, *, is_won: bool) -> None:
        """Decide a dispute. Raises Wrong."""
        dispute = self.store.get("dispute", id_)
        if dispute["status"] in {"won", "lost"}:
            raise Wrong("It is decided.")
        dispute["status"] = "won" if is_won else "lost"
        if is_won:
            self._money("adjustment", dispute["id"], dispute["currency"], dispute["amount"], 0)
        self._event("charge.dispute.closed", dispute)

    def pay_out(self, currency: str) -> None:
        """Send what there is of a currency to the bank."""
        total = sum(row["net"] for row in self.store.all("balance_transaction", currency=currency))
        if total > 0:
            self._money("payout", "po_" + str(int(time.time() * 1000)), currency, -total, 0)

    def _money(self, kind: str, source: str, currency: str, amount: int, fee: int) -> None:
        self.store.make("balance_transaction", type=kind, source=source, currency=currency, amount=amount, fee=fee, net=amount - fee)

    def _event(self, kind: str, thing: Thing) -> None:
        # What the message says is how things stood when it was made.
        event = self.store.make("event", type=kind, data={"object": json.loads(json.dumps(thing))}, api_version="2026-10-28.endive", pending_webhooks=1)
        self.store.save()
        self.tell(event)
