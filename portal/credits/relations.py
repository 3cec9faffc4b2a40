"""What other domains may join: stable columns, whatever the tables become."""

from sqlalchemy import select

from portal.credits.models import LedgerAccount, Lot, Meter, Wallet

wallet = select(Wallet.id, Wallet.project_id).subquery("wallet_relation")

# What a purchase's lot has free, held and frozen.
bought_lot = (
    select(Lot.purchase_id, Lot.id, Lot.number, Lot.issued_ucr, Lot.expires_at, LedgerAccount.balance_ucr.label("available_ucr"))
    .join(LedgerAccount, LedgerAccount.id == Lot.available_account_id)
    .where(Lot.purchase_id.is_not(None))
    .subquery("bought_lot_relation")
)

# What a session was charged so far; a row for each of its generations.
session_charge = select(Meter.session_id, (Meter.booked_ucr - Meter.corrected_ucr).label("charged_ucr")).subquery("session_charge_relation")
