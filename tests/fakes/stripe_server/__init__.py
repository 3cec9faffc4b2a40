"""A stand-in for Stripe, over HTTP: what the portal uses of the real one, with its faults. Development and tests use it.

    store.py     objects, events, balance; kept in a file, so that a restart forgets nothing
    ledger.py    what paying, refunding and disputing do to them
    api.py       /v1/…, as the `stripe` package calls it: form bodies, keys, pages, errors
    webhooks.py  signed messages, late, twice, out of order or lost
    pages.py     the payment page that people click through, and the switches for faults

    python -m tests.fakes.stripe_server --port 8005 --file var/stripe.json --webhook http://127.0.0.1:8000/payments/webhook

It takes any card and moves no money. Secrets come from STRIPE_SECRET_KEY and STRIPE_WEBHOOK_SECRETS.
"""

from tests.fakes.stripe_server.server import StripeServer, make_app

__all__ = ["StripeServer", "make_app"]
