"""Wallets: one for each project; their rows are the locks of everything that a project holds and spends."""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from portal.core import audit
from portal.core.access import Actor
from portal.core.errors import N_, Conflict, NotFound
from portal.core.ids import new_id
from portal.credits import bulk
from portal.credits.models import Wallet
from portal.credits.operations import journal


class WalletExists(Conflict):
    """The project has its wallet already."""

    text = N_("This project already has a wallet.")


def open(db: Session, *, project_id: uuid.UUID, by: Actor, now: datetime) -> uuid.UUID:  # noqa: A001 -- wallets.open reads as what it does
    """Open the wallet of a project and return its id. Raises WalletExists."""
    wallet_id = new_id()
    debts = [(f"debt:usage:{wallet_id}", "debt_usage", 0, 0), (f"debt:clawback:{wallet_id}", "debt_clawback", 0, 0)]
    usage_id, clawback_id = journal.open_accounts(db, debts)
    row = insert(Wallet).values(id=wallet_id, project_id=project_id, opened_at=now, debt_usage_account_id=usage_id, debt_clawback_account_id=clawback_id)
    if db.execute(row.on_conflict_do_nothing(index_elements=["project_id"]).returning(Wallet.id)).first() is None:
        raise WalletExists
    audit.record(db, "opened", "wallet", wallet_id, by=by, now=now, project_id=str(project_id))
    return wallet_id


def lock(db: Session, wallet_ids: Iterable[uuid.UUID], *, is_patient: bool = True) -> Sequence[uuid.UUID]:
    """Lock wallets in id order until the transaction ends and return those locked.

    is_patient=False leaves out wallets that somebody else holds. FOR NO KEY UPDATE: rows that only refer to a
    wallet can still be written by others.
    """
    query = select(Wallet.id).where(bulk.among(Wallet.id, wallet_ids)).order_by(Wallet.id)
    return list(db.execute(query.with_for_update(key_share=True, skip_locked=not is_patient)).scalars())


@dataclass(frozen=True)
class LockedWallet:
    """A wallet's row, locked by this transaction."""

    id: uuid.UUID
    project_id: uuid.UUID
    debt_usage_account_id: uuid.UUID
    debt_clawback_account_id: uuid.UUID


_LOCK_ONE = "SELECT id, project_id, debt_usage_account_id, debt_clawback_account_id FROM wallet WHERE id = %(id)s::uuid FOR NO KEY UPDATE"


def lock_one(db: Session, wallet_id: uuid.UUID) -> LockedWallet:
    """Lock one wallet and return its row. Raises NotFound."""
    rows = bulk.run(db, _LOCK_ONE, {"id": str(wallet_id)})
    if not rows:
        raise NotFound
    row = rows[0]
    return LockedWallet(row.id, row.project_id, row.debt_usage_account_id, row.debt_clawback_account_id)
