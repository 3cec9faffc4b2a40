"""What other domains may join: stable columns, whatever the tables become."""

from sqlalchemy import func, select

from portal.credits.models import LedgerAccount, Lot, Meter, MeterSegment, Wallet
from portal.credits.states import MeterState

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

_last_rate = select(MeterSegment.rate_ucr_per_hour).where(MeterSegment.meter_id == Meter.id).order_by(MeterSegment.segment.desc()).limit(1)

# Sessions that are not settled, and what the windows cost that they hold next.
open_meter = (
    select(Meter.session_id, Meter.generation, func.coalesce(Meter.next_rate_ucr_per_hour, _last_rate.correlate(Meter).scalar_subquery()).label("next_ucr"))
    .where(Meter.state == MeterState.OPEN.value)
    .subquery("open_meter_relation")
)
