"""Pages of payments: buying, purchases with their documents, finance's work, and the door for Stripe's messages."""

from portal.payments.views import buying, documents, finance, prices, purchases, transfers, webhook
from portal.payments.views.base import blueprint

__all__ = ["blueprint", "buying", "documents", "finance", "prices", "purchases", "transfers", "webhook"]
