"""The one door to Stripe: nothing else imports `stripe`. Checkout, refunds and webhooks are built with issue 3."""

import stripe


def library_version() -> str:
    """Return the version of Stripe's library, for `portal doctor`."""
    return stripe.VERSION
