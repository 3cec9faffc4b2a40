"""States of meters, holds and grant requests."""

from enum import StrEnum

from portal.core.errors import N_
from portal.core.states import Machine


class Reconciliation(StrEnum):
    """What is compared again and again: sessions with the hub, money with the provider's balance, the ledger with its own rules."""

    METERING = "metering"
    PROVIDER = "provider"
    LEDGER = "ledger"


class MeterState(StrEnum):
    """A meter runs until it is settled (its use is booked) or voided (nothing was used)."""

    OPEN = "open"
    SETTLED = "settled"
    VOIDED = "voided"


METER = Machine(
    MeterState,
    [
        ("settle", [MeterState.OPEN], MeterState.SETTLED),
        ("void", [MeterState.OPEN], MeterState.VOIDED),
        # Evidence that comes after a void wins: what was used is charged.
        ("charge_late", [MeterState.SETTLED, MeterState.VOIDED], MeterState.SETTLED),
    ],
)


class HoldState(StrEnum):
    """A hold is closed once all of it is captured or released."""

    OPEN = "open"
    CLOSED = "closed"


HOLD = Machine(HoldState, [("close", [HoldState.OPEN], HoldState.CLOSED)])


class GrantRequestState(StrEnum):
    """A grant above the limit waits for a second person."""

    WAITING = "waiting"
    APPROVED = "approved"
    DECLINED = "declined"
    WITHDRAWN = "withdrawn"


GRANT_REQUEST = Machine(
    GrantRequestState,
    [
        ("approve", [GrantRequestState.WAITING], GrantRequestState.APPROVED, N_("Approve and grant")),
        ("decline", [GrantRequestState.WAITING], GrantRequestState.DECLINED, N_("Decline")),
        ("withdraw", [GrantRequestState.WAITING], GrantRequestState.WITHDRAWN, N_("Withdraw")),
    ],
)


class AdjustmentKind(StrEnum):
    """What finance changes by hand: a charge given back, a debt written off, a later end of a lot."""

    CORRECTION = "correction"
    WRITE_OFF = "write_off"
    EXTENSION = "extension"


class AdjustmentState(StrEnum):
    """An adjustment that takes two people waits for the second; any other is booked at once."""

    WAITING = "waiting"
    BOOKED = "booked"
    DECLINED = "declined"
    WITHDRAWN = "withdrawn"


ADJUSTMENT = Machine(
    AdjustmentState,
    [
        ("approve", [AdjustmentState.WAITING], AdjustmentState.BOOKED, N_("Approve")),
        ("decline", [AdjustmentState.WAITING], AdjustmentState.DECLINED, N_("Decline")),
        ("withdraw", [AdjustmentState.WAITING], AdjustmentState.WITHDRAWN, N_("Withdraw")),
    ],
)


class LoanState(StrEnum):
    """Lent credits go back once."""

    LENT = "lent"
    RETURNED = "returned"


LOAN = Machine(LoanState, [("give_back", [LoanState.LENT], LoanState.RETURNED)])


class FaultRule(StrEnum):
    """The hub's faults that are made good, each by a rule of its own (docs/ledger.md)."""

    FAILED_START = "failed_start"
    NODE_DEATH = "node_death"
    OUTAGE = "outage"
    LATE_START = "late_start"
    RELEASED_TOO_LATE = "released_too_late"


class Currency(StrEnum):
    """What people pay in; amounts are in its minor unit, a hundredth."""

    MAD = "MAD"
    EUR = "EUR"
    USD = "USD"


class CashAccount(StrEnum):
    """Where money is, or what it is for: a memorandum beside the credits, one balance for each currency."""

    PSP_CLEARING = "psp_clearing"
    PSP_FEES = "psp_fees"
    BANK = "bank"
    DEFERRED = "deferred"
    REVENUE = "revenue"
    TAX = "tax"
    REFUNDS = "refunds"
    DISPUTES = "disputes"
    SUSPENSE = "suspense"


class ExportFormat(StrEnum):
    """Files that a statement is written to in the background."""

    PDF = "pdf"
    XLSX = "xlsx"


class ExportState(StrEnum):
    """An export waits, is written line by line, and is done or failed."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


EXPORT = Machine(
    ExportState,
    [
        ("begin", [ExportState.WAITING, ExportState.RUNNING], ExportState.RUNNING),
        ("finish", [ExportState.RUNNING], ExportState.DONE),
        ("fail", [ExportState.WAITING, ExportState.RUNNING], ExportState.FAILED),
    ],
)
