"""The door for Stripe's messages: checked, stored as they came, answered at once; jobs do the rest."""

import logging

from flask import request
from flask.typing import ResponseReturnValue

from portal.core import clock
from portal.payments.operations import events
from portal.payments.stripe_gateway import BadSignature
from portal.payments.views.base import blueprint, payment_service
from portal.web import access
from portal.web.database import session, sessions

logger = logging.getLogger(__name__)
MOST_BYTES = 512 * 1024


@blueprint.post("/payments/webhook")
@access.public
def webhook() -> ResponseReturnValue:
    """Store a message that Stripe signed. Anything else is refused; of it only a count is kept."""
    service, now = payment_service(), clock.now()
    if service is None:
        return {"error": "payments are not set up"}, 404
    if (request.content_length or 0) > MOST_BYTES:
        return {"error": "too large"}, 413
    try:
        event = service.read_webhook(request.get_data(cache=False), request.headers.get("Stripe-Signature", ""), now=now)
    except BadSignature as error:
        events.count_refused(sessions(), str(error), now=now)
        logger.warning("a payment message was refused: %s", error)
        return {"error": str(error)}, 400
    is_new = events.store(session(), event, source="webhook", now=now)
    return {"received": event.id, "new": is_new}, 200
