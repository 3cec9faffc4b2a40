"""A buyer with a wallet, and the stand-in for Stripe over HTTP. After every test the ledger verifies."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker

from portal.core import clock
from portal.credits import queries as credit
from portal.factory import load_jobs
from portal.identity.queries import PersonCard
from portal.payments import stripe_gateway
from portal.payments.models import Purchase
from portal.payments.stripe_gateway import PaymentService
from portal.settings import StripeSettings
from tests.credits.conftest import check
from tests.factories import identity as people
from tests.factories import payments as make
from tests.fakes.stripe_server import StripeServer

load_jobs()
KEY, WEBHOOK = "sk_test_of_the_tests", "whsec_of_the_tests"


@pytest.fixture
def now() -> datetime:
    """Give the real present: signatures and payment pages go by it."""
    return clock.now()


@pytest.fixture
def stripe_server() -> Iterator[StripeServer]:
    """Give a stand-in that sends no messages by itself."""
    with StripeServer(secret_key=KEY, webhook_secret=WEBHOOK) as server:
        yield server


@pytest.fixture
def gateway(stripe_server: StripeServer) -> PaymentService:
    """Give the gateway as the portal makes it, pointed at the stand-in."""
    found = stripe_gateway.from_settings(StripeSettings(KEY, (WEBHOOK,), stripe_server.url, timeout_s=1))
    assert found is not None
    return found


@pytest.fixture
def paying_app(app: Flask, gateway: PaymentService) -> Iterator[Flask]:
    """Give the application with the gateway as its payment service."""
    resources = app.extensions["job_resources"]
    before = resources.get("payments")
    resources["payments"] = gateway
    yield app
    resources["payments"] = before


@dataclass
class Shop:
    """A buyer, their wallet, and the way through a purchase, job by job."""

    db: Session
    buyer: PersonCard
    wallet_id: UUID
    server: StripeServer
    run: Callable[..., list[str]]
    now: datetime

    def placed(self, **terms: object) -> Purchase:
        """Place a purchase by card, and let the jobs open its page."""
        purchase = make.purchase(self.db, self.wallet_id, buyer=self.buyer.actor, now=self.now, **terms)  # type: ignore[arg-type]
        self.db.commit()
        self.run()
        return self.again(purchase)

    def paid(self, **terms: object) -> Purchase:
        """Place a purchase by card, pay at its page, and let Stripe be asked."""
        purchase = self.placed(**terms)
        self.server.ledger.pay(str(purchase.checkout_id))
        self.look()
        return self.again(purchase)

    def look(self) -> None:
        """Let the reconciler look for what was missed."""
        from portal.payments import jobs as payment_jobs

        payment_jobs.look_for_missed(self.context)
        self.run()

    def again(self, purchase: Purchase) -> Purchase:
        """Read a purchase anew."""
        self.db.expire_all()
        found = self.db.get(Purchase, purchase.id)
        assert found is not None
        return found

    def credits(self) -> tuple[int, int]:
        """Return what the wallet can spend, and what it owes."""
        self.db.expire_all()
        found = credit.balance(self.db, self.wallet_id, now=clock.now())
        return found.balance_ucr, found.clawback_ucr

    def count(self, table: str) -> int:
        """Return the rows of a table."""
        return int(self.db.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())

    context: object = None


@pytest.fixture
def shop(
    paying_app: Flask, db: Session, session_maker: sessionmaker[Session], stripe_server: StripeServer, run_jobs: Callable[..., list[str]], now: datetime
) -> Shop:
    """Give a shop with a price list, a buyer and their wallet."""
    from portal.core.jobs import JobContext

    make.price_list(db, now=now)
    buyer = people.person(db, display_name="Salma Bennis", now=now)
    wallet_id = make.wallet(db, lead=buyer.id, now=now)
    db.commit()
    context = JobContext(sessions=session_maker, settings=paying_app.extensions["portal_settings"], resources=paying_app.extensions["job_resources"])
    return Shop(db, buyer, wallet_id, stripe_server, run_jobs, now, context)


@pytest.fixture(autouse=True)
def _ledger_verifies(request: pytest.FixtureRequest) -> Iterator[None]:
    db = request.getfixturevalue("db") if "db" in request.fixturenames else None
    yield
    if db is not None:
        db.expire_all()
        check(db, now=clock.now())


def buyers_browser(client: FlaskClient, shop: Shop) -> FlaskClient:
    """Return a browser that the buyer signed in with."""
    people.sign_in(client, shop.buyer)
    return client


def eventually(found: Callable[[], bool], *, within_s: float = 10) -> bool:
    """Wait for something that threads bring about."""
    ends = time.monotonic() + within_s
    while time.monotonic() < ends:
        if found():
            return True
        time.sleep(0.05)
    return False
