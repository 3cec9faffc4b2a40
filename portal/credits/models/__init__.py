"""Tables of the ledger; private to the domain."""

from portal.credits.models.ledger import Fund, GrantRequest, LedgerAccount, LedgerEntry, LedgerTransaction, Lot, Wallet
from portal.credits.models.meters import MAX_PROVEN_S, MAX_RATE_UCR_PER_HOUR, Hold, HoldShare, Meter, MeterSegment

__all__ = [
    "MAX_PROVEN_S",
    "MAX_RATE_UCR_PER_HOUR",
    "Fund",
    "GrantRequest",
    "Hold",
    "HoldShare",
    "LedgerAccount",
    "LedgerEntry",
    "LedgerTransaction",
    "Lot",
    "Meter",
    "MeterSegment",
    "Wallet",
]
