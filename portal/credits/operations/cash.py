"""The cash memorandum: what a payment, fee, refund or dispute moved in money, in minor units, summing to zero."""

import uuid
from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import BigInteger, cast, func, insert, select
from sqlalchemy.orm import Session

from portal.core.access import Actor
from portal.core.errors import Invalid
from portal.core.ids import new_id
from portal.credits import bulk
from portal.credits.models import CashEntry, CashTransaction
from portal.credits.operations import journal
from portal.credits.states import CashAccount, Currency

MAX_MINOR = 10**15


class NotBalanced(Invalid):
    """The lines of a booking of money do not sum to zero, or one is out of range."""


def book(
    db: Session,
    *,
    key: str,
    operation: str,
    currency: Currency,
    lines: Mapping[CashAccount, int],
    reference: str,
    by: Actor,
    now: datetime,
    purchase_id: uuid.UUID | None = None,
) -> bool:
    """Book money and return whether it was new; the same key and lines again change nothing.

    lines: minor units by account, positive where money goes. Lines of 0 are left out. Raises NotBalanced, KeyReused.
    """
    kept = {account: amount for account, amount in lines.items() if amount}
    if sum(kept.values()) != 0 or not kept or any(abs(amount) > MAX_MINOR for amount in kept.values()):
        raise NotBalanced
    digest = journal.body_digest({"currency": currency.value, "lines": sorted((account.value, amount) for account, amount in kept.items())})
    stored = db.execute(select(CashTransaction.body_digest).where(CashTransaction.key == key)).scalar_one_or_none()
    if stored is not None:
        if stored != digest:
            journal.refuse_reuse(db, key, by=by, now=now)
        return False
    id_ = new_id()
    row = {"id": id_, "key": key, "operation": operation, "body_digest": digest, "currency": currency.value, "purchase_id": purchase_id}
    db.execute(insert(CashTransaction).values(**row, reference=reference, booked_at=now, actor_id=by.person_id, actor_label=by.label))
    # One statement: the trigger checks what a statement leaves behind.
    bulk.insert_rows(db, CashEntry, [{"transaction_id": id_, "account": account.value, "amount_minor": amount} for account, amount in kept.items()])
    return True


def balances(db: Session) -> dict[tuple[CashAccount, Currency], int]:
    """Return the balance of each account in each currency, in minor units."""
    total = cast(func.sum(CashEntry.amount_minor), BigInteger)
    query = select(CashEntry.account, CashTransaction.currency, total).join(CashTransaction, CashTransaction.id == CashEntry.transaction_id)
    rows = db.execute(query.group_by(CashEntry.account, CashTransaction.currency))
    return {(CashAccount(account), Currency(currency)): amount for account, currency, amount in rows}
