"""Tables of payments; private to the domain."""

from portal.payments.models.papers import BankTransfer, Document, DocumentSeries, PriceList, PriceStep
from portal.payments.models.purchases import BalanceLine, Difference, Dispute, PaymentEvent, Purchase, Refund

__all__ = [
    "BalanceLine",
    "BankTransfer",
    "Difference",
    "Dispute",
    "Document",
    "DocumentSeries",
    "PaymentEvent",
    "PriceList",
    "PriceStep",
    "Purchase",
    "Refund",
]
