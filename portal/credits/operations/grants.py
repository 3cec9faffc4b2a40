"""Grants: credits of a fund become a lot of a wallet."""

import re
import uuid
from datetime import datetime
from typing import Literal

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from portal.core import audit
from portal.core.access import Actor
from portal.core.errors import N_, Conflict, Invalid, NotFound, Refused
from portal.core.quantities import MAX_UCR, UCR_PER_CREDIT, credits_ucr, decimal_credits
from portal.credits.models import Fund, LedgerAccount, Lot
from portal.credits.operations import journal, lots, wallets
from portal.projects import relations as projects

ALONE_UCR = credits_ucr(5000)
_CLASS = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


class OverBudget(Conflict):
    """The fund has less left than the grant."""

    text = N_("The fund has %(left)s credits left, so this grant is too large. Nothing was granted.")
    field = "amount"


class FundClosed(Conflict):
    """The sponsor's fund gives nothing any more."""

    text = N_("This fund is closed. What it granted stays valid until its end.")
    field = "fund"


class OverLargestGrant(Conflict):
    """The fund's rules allow smaller grants only."""

    text = N_("This fund gives at most %(limit)s credits in one grant.")
    field = "amount"


class OtherClasses(Conflict):
    """The fund's rules allow certain machines only."""

    text = N_("This fund pays for these machines alone: %(classes)s.")
    field = "classes"


class OwnProject(Refused):
    """Nobody gives credits to a project of their own."""

    text = N_("You are a member of this project, so somebody else has to grant credits to it.")


class NeedsSecondPerson(Refused):
    """The amount is above what one person may grant."""

    text = N_("A grant of more than %(limit)s credits takes a second person.")
    field = "amount"


class BadAmount(Invalid):
    """The amount is not positive, or larger than the ledger can hold."""

    text = N_("Enter an amount above zero.")
    field = "amount"


class BadValidity(Invalid):
    """The credits would end before they begin, or before now."""

    text = N_("The end must lie in the future and after the beginning.")
    field = "expires_on"


class BadClasses(Invalid):
    """A class has other letters than it may, or none is named."""

    text = N_("Choose at least one kind of machine.")
    field = "classes"


class OtherTerms(Conflict):
    """A supplement has the wallet, fund and purpose of the grant that it adds to."""

    text = N_("A supplement keeps the fund and the purpose of the grant that it adds to.")


def give(
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
    priority: int = 100,
    approved_by: Actor | None = None,
    origin: Literal["grant", "make_good"] = "grant",
    supplements_lot_id: uuid.UUID | None = None,
) -> uuid.UUID:
    """Make a lot and return its id; the same grant_id again returns the first one's lot.

    classes: the charge classes it may pay, None for all. supplements_lot_id: an earlier grant of the wallet, with the same
    fund and purpose, that this one adds to; it takes that one's place in the order of spending. Above ALONE_UCR a person needs a second one, `approved_by`;
    our processes do not. Raises OverBudget, FundClosed, OverLargestGrant, OtherClasses,
    OwnProject, NeedsSecondPerson, OtherTerms, BadAmount, BadValidity, BadClasses, NotFound, KeyReused.
    """
    body: dict[str, object] = {
        "wallet": wallet_id,
        "fund": fund_id,
        "amount": amount_ucr,
        "purpose": purpose,
        "classes": sorted(classes) if classes is not None else None,
        "effective_at": effective_at.isoformat(),
        "expires_at": expires_at.isoformat(),
        "priority": priority,
    }
    if supplements_lot_id is not None:
        body["supplements"] = supplements_lot_id
    wallet = wallets.lock_one(db, wallet_id)
    key = f"grant:{grant_id}"
    stored = journal.stored_result(db, key, body, by=by, now=now)
    if stored is not None:
        return uuid.UUID(stored["lot_id"])
    check_terms(amount_ucr, classes, effective_at, expires_at, now)
    _check_people(db, wallet, amount_ucr, by, approved_by)
    if supplements_lot_id is not None:
        priority = _priority_of(db, supplements_lot_id, wallet_id, fund_id, purpose)
    issuance_id = _issuance_account(db, fund_id, amount_ucr, classes)
    terms = {"fund_id": fund_id, "purpose": purpose, "classes": body["classes"], "priority": priority, "effective_at": effective_at, "expires_at": expires_at}
    came = {"issued_ucr": amount_ucr, "granted_at": now, "is_bought": False, "origin": origin, "supplements_lot_id": supplements_lot_id}
    lot_id, available_id = lots.open_lot(db, wallet_id=wallet_id, **terms, **came)
    lines = [journal.Line(issuance_id, -amount_ucr), journal.Line(available_id, amount_ucr)]
    booking = journal.Booking(key, "grant", body, lines, {"lot_id": str(lot_id)}, wallet_id=wallet_id, lot_id=lot_id)
    journal.post(db, [booking], by=by, now=now)
    details = {"fund_id": str(fund_id), "amount": decimal_credits(amount_ucr), "approved_by": str(approved_by.person_id) if approved_by else None}
    audit.record(db, "granted", "wallet", wallet_id, by=by, now=now, lot_id=str(lot_id), **details)
    return lot_id


def check_terms(amount_ucr: int, classes: frozenset[str] | None, effective_at: datetime, expires_at: datetime, now: datetime) -> None:
    """Raise BadAmount, BadValidity or BadClasses for terms that no grant may have."""
    if not 0 < amount_ucr <= MAX_UCR:
        raise BadAmount
    if expires_at <= effective_at or expires_at <= now:
        raise BadValidity
    if classes is not None and not (classes and all(_CLASS.fullmatch(name) for name in classes)):
        raise BadClasses


def refuse_own_project(db: Session, project_id: uuid.UUID, people: set[uuid.UUID]) -> None:
    """Raise OwnProject when one of the people is a current member of the project."""
    member = projects.member.c
    own = select(func.count()).select_from(projects.member).where(member.project_id == project_id, member.person_id.in_(people))
    if people and db.execute(own).scalar_one():
        raise OwnProject


def _priority_of(db: Session, lot_id: uuid.UUID, wallet_id: uuid.UUID, fund_id: uuid.UUID, purpose: str) -> int:
    """Return a first grant's priority. Raises OtherTerms unless it is of the same wallet, fund and purpose."""
    same = (Lot.id == lot_id, Lot.wallet_id == wallet_id, Lot.fund_id == fund_id, Lot.purpose == purpose)
    priority = db.execute(select(Lot.priority).where(*same)).scalar_one_or_none()
    if priority is None:
        raise OtherTerms
    return priority


def _check_people(db: Session, wallet: wallets.LockedWallet, amount_ucr: int, by: Actor, approved_by: Actor | None) -> None:
    people = {actor.person_id for actor in (by, approved_by) if actor is not None and actor.person_id is not None}
    refuse_own_project(db, wallet.project_id, people)
    if amount_ucr > ALONE_UCR and not by.is_process and len(people) < 2:
        raise NeedsSecondPerson(limit=ALONE_UCR // UCR_PER_CREDIT)


def _issuance_account(db: Session, fund_id: uuid.UUID, amount_ucr: int, classes: frozenset[str] | None) -> uuid.UUID:
    """Lock the fund's account and return its id, once the fund's rules allow the grant.

    The account's CHECK would refuse a grant over budget too; this says it in words.
    """
    account = LedgerAccount
    query = (
        select(account.id, (account.balance_ucr - account.lower_bound_ucr).label("left_ucr"), Fund.largest_grant_ucr, Fund.classes, Fund.closed_at)
        .join(Fund, Fund.issuance_account_id == account.id)
        .where(Fund.id == fund_id)
    )
    row = db.execute(query.with_for_update(key_share=True, of=account)).one_or_none()
    if row is None:
        raise NotFound
    if row.closed_at is not None:
        raise FundClosed
    if row.largest_grant_ucr is not None and amount_ucr > row.largest_grant_ucr:
        raise OverLargestGrant(limit=decimal_credits(row.largest_grant_ucr))
    if row.classes is not None and (classes is None or not classes <= frozenset(row.classes)):
        raise OtherClasses(classes=", ".join(sorted(row.classes)))
    if row.left_ucr < amount_ucr:
        raise OverBudget(left=decimal_credits(row.left_ucr))
    found: uuid.UUID = row.id
    return found
