"""Tables of the ledger; private to the domain."""

from portal.credits.models.adjustments import Adjustment
from portal.credits.models.cash import CashEntry, CashTransaction
from portal.credits.models.closing import LedgerBlock, LedgerMonth, LedgerSeal, LotDay, ReconciliationRow, StatementExport, SummedDay, WalletMonth
from portal.credits.models.events import ONCE_A_SESSION, CreditLoan, LotRevocation, MakeGood
from portal.credits.models.ledger import Fund, GrantRequest, LedgerAccount, LedgerEntry, LedgerTransaction, Lot, Wallet
from portal.credits.models.meters import MAX_RATE_UCR_PER_HOUR, Hold, HoldShare, Meter, MeterSegment
from portal.credits.models.pacing import CreditDigest, CreditWarning, CreditWatch

__all__ = [
    "MAX_RATE_UCR_PER_HOUR",
    "ONCE_A_SESSION",
    "Adjustment",
    "CashEntry",
    "CashTransaction",
    "CreditDigest",
    "CreditLoan",
    "CreditWarning",
    "CreditWatch",
    "Fund",
    "GrantRequest",
    "Hold",
    "HoldShare",
    "LedgerAccount",
    "LedgerBlock",
    "LedgerEntry",
    "LedgerMonth",
    "LedgerSeal",
    "LedgerTransaction",
    "Lot",
    "LotDay",
    "LotRevocation",
    "MakeGood",
    "Meter",
    "MeterSegment",
    "ReconciliationRow",
    "StatementExport",
    "SummedDay",
    "Wallet",
    "WalletMonth",
]
