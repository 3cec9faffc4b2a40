"""States of purchases, refunds, disputes and bank transfers."""

from enum import StrEnum

from portal.core.errors import N_
from portal.core.states import Machine


class PurchaseState(StrEnum):
    """A purchase waits for its money. Money that comes after all, even late, always makes it paid."""

    PLACED = "placed"
    AWAITING = "awaiting"
    PAID = "paid"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


_UNPAID = [PurchaseState.PLACED, PurchaseState.AWAITING, PurchaseState.FAILED, PurchaseState.EXPIRED, PurchaseState.CANCELLED]

PURCHASE = Machine(
    PurchaseState,
    [
        ("open", [PurchaseState.PLACED, PurchaseState.FAILED, PurchaseState.EXPIRED], PurchaseState.AWAITING, N_("Pay")),
        ("pay", _UNPAID, PurchaseState.PAID),
        ("fail", [PurchaseState.AWAITING], PurchaseState.FAILED),
        ("expire", [PurchaseState.PLACED, PurchaseState.AWAITING], PurchaseState.EXPIRED),
        ("cancel", [PurchaseState.PLACED, PurchaseState.AWAITING, PurchaseState.FAILED, PurchaseState.EXPIRED], PurchaseState.CANCELLED, N_("Cancel")),
    ],
)


class RefundState(StrEnum):
    """A refund is asked for, sent to where the money came from, and done there or not."""

    WAITING = "waiting"
    APPROVED = "approved"
    PENDING = "pending"
    DONE = "done"
    FAILED = "failed"
    DECLINED = "declined"


REFUND = Machine(
    RefundState,
    [
        ("approve", [RefundState.WAITING], RefundState.APPROVED, N_("Approve")),
        ("decline", [RefundState.WAITING], RefundState.DECLINED, N_("Decline")),
        ("send", [RefundState.APPROVED], RefundState.PENDING),
        ("succeed", [RefundState.APPROVED, RefundState.PENDING, RefundState.FAILED], RefundState.DONE),
        # Stripe may say "failed" weeks after it said "succeeded": the money came back.
        ("fail", [RefundState.APPROVED, RefundState.PENDING, RefundState.DONE], RefundState.FAILED),
    ],
)


class DisputeState(StrEnum):
    """A dispute takes the money at once; it comes back when the dispute is won."""

    OPEN = "open"
    WON = "won"
    LOST = "lost"


DISPUTE = Machine(DisputeState, [("win", [DisputeState.OPEN], DisputeState.WON), ("lose", [DisputeState.OPEN], DisputeState.LOST)])


class Method(StrEnum):
    """How a purchase is paid."""

    CARD = "card"
    BANK = "bank"


class TransferState(StrEnum):
    """An incoming bank transfer is matched by one person and approved by another."""

    UNMATCHED = "unmatched"
    MATCHED = "matched"
    APPROVED = "approved"
    SET_ASIDE = "set_aside"


TRANSFER = Machine(
    TransferState,
    [
        ("match", [TransferState.UNMATCHED], TransferState.MATCHED, N_("Match")),
        ("unmatch", [TransferState.MATCHED], TransferState.UNMATCHED, N_("Undo the match")),
        ("approve", [TransferState.MATCHED], TransferState.APPROVED, N_("Approve")),
        ("set_aside", [TransferState.UNMATCHED], TransferState.SET_ASIDE, N_("Not a purchase")),
    ],
)


class DocumentKind(StrEnum):
    """Papers that an accountant keeps."""

    INVOICE = "invoice"
    CREDIT_NOTE = "credit_note"


class DifferenceState(StrEnum):
    """A difference between Stripe's balance and our books is open until somebody says what it was."""

    OPEN = "open"
    RESOLVED = "resolved"


DIFFERENCE = Machine(DifferenceState, [("resolve", [DifferenceState.OPEN], DifferenceState.RESOLVED, N_("Resolve"))])

PURCHASE_WORDS: dict[StrEnum, str] = {
    PurchaseState.PLACED: N_("Not paid yet"),
    PurchaseState.AWAITING: N_("Waiting for the payment"),
    PurchaseState.PAID: N_("Paid"),
    PurchaseState.FAILED: N_("Payment failed"),
    PurchaseState.EXPIRED: N_("Expired"),
    PurchaseState.CANCELLED: N_("Cancelled"),
}
REFUND_WORDS: dict[StrEnum, str] = {
    RefundState.WAITING: N_("Waiting for a second person"),
    RefundState.APPROVED: N_("On its way"),
    RefundState.PENDING: N_("On its way"),
    RefundState.DONE: N_("Refunded"),
    RefundState.FAILED: N_("Refund failed"),
    RefundState.DECLINED: N_("Declined"),
}
DISPUTE_WORDS: dict[StrEnum, str] = {DisputeState.OPEN: N_("Disputed"), DisputeState.WON: N_("Dispute won"), DisputeState.LOST: N_("Dispute lost")}
TRANSFER_WORDS: dict[StrEnum, str] = {
    TransferState.UNMATCHED: N_("Not matched"),
    TransferState.MATCHED: N_("Waiting for a second person"),
    TransferState.APPROVED: N_("Approved"),
    TransferState.SET_ASIDE: N_("Not a purchase"),
}
BADGES: dict[StrEnum, str] = {
    PurchaseState.PLACED: "neutral",
    PurchaseState.AWAITING: "info",
    PurchaseState.PAID: "good",
    PurchaseState.FAILED: "bad",
    PurchaseState.EXPIRED: "neutral",
    PurchaseState.CANCELLED: "neutral",
    RefundState.WAITING: "warn",
    RefundState.APPROVED: "info",
    RefundState.PENDING: "info",
    RefundState.DONE: "good",
    RefundState.FAILED: "bad",
    RefundState.DECLINED: "neutral",
    DisputeState.OPEN: "warn",
    DisputeState.WON: "good",
    DisputeState.LOST: "bad",
    TransferState.UNMATCHED: "warn",
    TransferState.MATCHED: "info",
    TransferState.APPROVED: "good",
    TransferState.SET_ASIDE: "neutral",
}
