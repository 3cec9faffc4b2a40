"""The blueprint, which the modules of pages add their routes to, and what they share."""

from flask import Blueprint, current_app

from portal.payments.stripe_gateway import PaymentService

blueprint = Blueprint("payments", __name__, template_folder="../templates")


def payment_service() -> PaymentService | None:
    """Return the payment service of this deployment. Views only ask it whether it is there, and to read messages."""
    found: PaymentService | None = current_app.extensions["job_resources"].get("payments")
    return found
