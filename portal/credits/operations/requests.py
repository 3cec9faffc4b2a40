"""Grants by people: at once up to a limit, above it when a second person approves."""

import uuid
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from portal.core import audit
from portal.core.access import Actor
from portal.core.errors import N_, Conflict, NotFound, Refused
from portal.core.quantities import decimal_credits
from portal.credits.models import GrantRequest, Lot, Wallet
from portal.credits.operations import grants
from portal.credits.states import GRANT_REQUEST, GrantRequestState


class SamePerson(Refused):
    """Whoever asked cannot approve."""

    text = N_("You asked for this grant yourself, so somebody else has to approve it.")


class NotAGrant(Conflict):
    """A supplement adds to a fund's grant."""

    text = N_("Only credits that a fund gave can be supplemented.")


class NotYours(Refused):
    """Only whoever asked may withdraw."""

    text = N_("Only the person who asked for this grant can withdraw it.")


def ask(
    db: Session,
    *,
    grant_id: uuid.UUID,
    wallet_id: uuid.UUID,
    fund_id: uuid.UUID,
    amount_ucr: int,
    purpose: str,
    classes: frozenset[str] | None,
    effective_at: datetime,
    expires_at: datetime,
    by: Actor,
    now: datetime,
    supplements_lot_id: uuid.UUID | None = None,
) -> uuid.UUID | None:
    """Grant at once and return the lot's id, or, above the limit, let it wait for a second person and return None.

    Raises what `grants.give` raises.
    """
    grants.check_terms(amount_ucr, classes, effective_at, expires_at, now)
    if amount_ucr <= grants.ALONE_UCR:
        terms = {"purpose": purpose, "classes": classes, "effective_at": effective_at, "expires_at": expires_at}
        more = {"supplements_lot_id": supplements_lot_id}
        return grants.give(db, grant_id=grant_id, wallet_id=wallet_id, fund_id=fund_id, amount_ucr=amount_ucr, by=by, now=now, **terms, **more)  # type: ignore[arg-type]
    wallet = db.get(Wallet, wallet_id)
    if wallet is None:
        raise NotFound
    grants.refuse_own_project(db, wallet.project_id, {by.id})
    request = GrantRequest(
        id=grant_id,
        wallet_id=wallet_id,
        fund_id=fund_id,
        supplements_lot_id=supplements_lot_id,
        amount_ucr=amount_ucr,
        purpose=purpose,
        classes=sorted(classes) if classes is not None else None,
        effective_at=effective_at,
        expires_at=expires_at,
        state=GrantRequestState.WAITING.value,
        asked_at=now,
        asked_by_id=by.id,
    )
    db.add(request)
    db.flush()
    audit.record(db, "asked", "grant_request", grant_id, by=by, now=now, wallet_id=str(wallet_id), amount=decimal_credits(amount_ucr))
    return None


def supplement(db: Session, *, grant_id: uuid.UUID, lot_id: uuid.UUID, amount_ucr: int, expires_at: datetime, by: Actor, now: datetime) -> uuid.UUID | None:
    """Ask for more of a grant: the same fund, purpose and machines, from now on. Raises NotAGrant and what `ask` raises."""
    lot = db.get(Lot, lot_id)
    if lot is None:
        raise NotFound
    if lot.fund_id is None:
        raise NotAGrant
    return ask(
        db,
        grant_id=grant_id,
        wallet_id=lot.wallet_id,
        fund_id=lot.fund_id,
        amount_ucr=amount_ucr,
        purpose=lot.purpose,
        classes=frozenset(lot.classes) if lot.classes is not None else None,
        effective_at=now,
        expires_at=expires_at,
        supplements_lot_id=lot_id,
        by=by,
        now=now,
    )


def approve(db: Session, *, request_id: uuid.UUID, by: Actor, now: datetime) -> uuid.UUID:
    """Grant what waits and return the lot's id. Raises SamePerson, WrongState, NotFound, and what `grants.give` raises."""
    request = _locked(db, request_id)
    state = GRANT_REQUEST.target("approve", GrantRequestState(request.state))
    if request.asked_by_id == by.id:
        raise SamePerson
    lot_id = grants.give(
        db,
        grant_id=request.id,
        wallet_id=request.wallet_id,
        fund_id=request.fund_id,
        amount_ucr=request.amount_ucr,
        purpose=request.purpose,
        classes=frozenset(request.classes) if request.classes is not None else None,
        effective_at=request.effective_at,
        expires_at=request.expires_at,
        by=by,
        approved_by=Actor(person_id=request.asked_by_id, label="asked"),
        supplements_lot_id=request.supplements_lot_id,
        now=now,
    )
    _decide(db, request_id, "approved", state, by=by, now=now, lot_id=lot_id)
    return lot_id


def decline(db: Session, *, request_id: uuid.UUID, by: Actor, now: datetime) -> None:
    """Decline what waits; whoever asked withdraws instead. Raises SamePerson, WrongState, NotFound."""
    request = _locked(db, request_id)
    state = GRANT_REQUEST.target("decline", GrantRequestState(request.state))
    if request.asked_by_id == by.id:
        raise SamePerson
    _decide(db, request_id, "declined", state, by=by, now=now)


def withdraw(db: Session, *, request_id: uuid.UUID, by: Actor, now: datetime) -> None:
    """Take back what one asked for oneself. Raises NotYours, WrongState, NotFound."""
    request = _locked(db, request_id)
    state = GRANT_REQUEST.target("withdraw", GrantRequestState(request.state))
    if request.asked_by_id != by.id:
        raise NotYours
    _decide(db, request_id, "withdrew", state, by=by, now=now)


def _locked(db: Session, request_id: uuid.UUID) -> GrantRequest:
    query = select(GrantRequest).where(GrantRequest.id == request_id).with_for_update().execution_options(populate_existing=True)
    request = db.execute(query).scalar_one_or_none()
    if request is None:
        raise NotFound
    return request


def _decide(db: Session, request_id: uuid.UUID, action: str, state: GrantRequestState, *, by: Actor, now: datetime, lot_id: uuid.UUID | None = None) -> None:
    decision = update(GrantRequest).values(state=state.value, decided_at=now, decided_by_id=by.id, lot_id=lot_id)
    db.execute(decision.where(GrantRequest.id == request_id))
    audit.record(db, action, "grant_request", request_id, by=by, now=now)
