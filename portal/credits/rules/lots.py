"""Lots as they are planned with, and the order in which they are spent."""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

ANY_CLASS_WIDTH = 1 << 30


@dataclass
class LotState:
    """A lot under its wallet's lock. `available_ucr` goes down and up as holds are planned and released."""

    id: uuid.UUID
    available_account_id: uuid.UUID
    held_account_id: uuid.UUID
    priority: int
    classes: frozenset[str] | None
    is_bought: bool
    granted_at: datetime
    effective_at: datetime
    expires_at: datetime
    available_ucr: int
    is_revoked: bool = False

    def pays(self, charge_class: str) -> bool:
        """Return whether the lot may pay for a class; a revoked lot pays for nothing new."""
        return not self.is_revoked and (self.classes is None or charge_class in self.classes)

    def is_valid_at(self, instant: datetime) -> bool:
        """Return whether the lot may be spent for time that begins at an instant."""
        return self.effective_at <= instant < self.expires_at


def burn_order(lots: Iterable[LotState]) -> list[LotState]:
    """Return lots as they are spent: priority, earliest expiry, narrowest eligibility, given before bought, oldest."""

    def place(lot: LotState) -> tuple[int, datetime, int, bool, datetime, bytes]:
        width = ANY_CLASS_WIDTH if lot.classes is None else len(lot.classes)
        return lot.priority, lot.expires_at, width, lot.is_bought, lot.granted_at, lot.id.bytes

    return sorted(lots, key=place)


def payers(lots: Iterable[LotState], charge_class: str) -> list[LotState]:
    """Return the lots that may pay for a class, in the order of spending."""
    return burn_order(lot for lot in lots if lot.pays(charge_class))
