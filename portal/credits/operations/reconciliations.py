"""Write down when something was compared, and whether it agreed. The rows are what wallets show as their freshness."""

from datetime import datetime

from sqlalchemy import case, literal
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from portal.core.database import Instant
from portal.credits.models import ReconciliationRow
from portal.credits.states import Reconciliation


def note(db: Session, kind: Reconciliation, *, compared: int, problems: int, now: datetime, did_answer: bool = True) -> None:
    """Note a comparison. did_answer: the other side could be asked; it agreed if it was and nothing was wrong."""
    agreed = did_answer and problems == 0
    row = insert(ReconciliationRow).values(kind=kind.value, looked_at=now, agreed_at=now if agreed else None, compared=compared, problems=problems)
    agreed_at = case((literal(agreed), literal(now, Instant())), else_=ReconciliationRow.agreed_at)
    changes = {"looked_at": now, "agreed_at": agreed_at, "compared": compared, "problems": problems}
    db.execute(row.on_conflict_do_update(index_elements=["kind"], set_=changes))
