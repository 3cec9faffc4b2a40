"""Who may call the routes of payments."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from portal.payments.permissions import Permission
from portal.payments.states import Method
from tests.architecture.access_matrix import Row
from tests.factories import identity as people
from tests.factories import payments as make

MEMBERS = "leads and members of the project; finance, administrators"

ROWS = {
    "payments.webhook": Row("public", relation="whoever signs as Stripe"),
    "payments.buy": Row("signed_in", relation="leads and members of the project", object="wallet_to_buy_for"),
    "payments.purchase_list": Row("signed_in", relation="lists those of " + MEMBERS),
    "payments.purchase": Row("signed_in", relation=MEMBERS, object="purchase"),
    "payments.standing": Row("signed_in", relation=MEMBERS, object="purchase"),
    "payments.checkout": Row("signed_in", relation=MEMBERS, object="purchase"),
    "payments.back": Row("signed_in", relation=MEMBERS, object="purchase"),
    "payments.pay": Row("signed_in", relation=MEMBERS, object="purchase"),
    "payments.cancel": Row("signed_in", relation=MEMBERS, object="purchase"),
    "payments.refund": Row("signed_in", relation=MEMBERS, object="purchase"),
    "payments.document": Row("signed_in", relation=MEMBERS, object="paper"),
    "payments.finance_desk": Row("permission", permission=Permission.SEE_PAYMENTS),
    "payments.finance_refund": Row("permission", permission=Permission.REFUND),
    "payments.refund_list": Row("permission", permission=Permission.REFUND),
    "payments.approve_refund": Row("permission", permission=Permission.REFUND, relation="never whoever asked"),
    "payments.decline_refund": Row("permission", permission=Permission.REFUND, relation="never whoever asked"),
    "payments.difference_list": Row("permission", permission=Permission.RESOLVE_DIFFERENCES),
    "payments.difference": Row("permission", permission=Permission.RESOLVE_DIFFERENCES),
    "payments.price_lists": Row("permission", permission=Permission.PUBLISH_PRICES),
    "payments.new_price_list": Row("permission", permission=Permission.PUBLISH_PRICES),
    "payments.transfer_list": Row("permission", permission=Permission.MATCH_TRANSFERS),
    "payments.new_transfer": Row("permission", permission=Permission.MATCH_TRANSFERS),
    "payments.import_transfers": Row("permission", permission=Permission.MATCH_TRANSFERS),
    "payments.match_transfer": Row("permission", permission=Permission.MATCH_TRANSFERS),
    "payments.set_transfer_aside": Row("permission", permission=Permission.MATCH_TRANSFERS),
    "payments.unmatch_transfer": Row("permission", permission=Permission.MATCH_TRANSFERS),
    "payments.approve_transfer": Row("permission", permission=Permission.MATCH_TRANSFERS, relation="never whoever matched"),
}


def make_wallet(db: Session, owner: UUID, now: datetime) -> Mapping[str, Any]:
    """Open a project of the owner's with its wallet, and publish prices."""
    from portal.credits.queries import wallet_by_ref

    make.price_list(db, now=now)
    wallet_id = make.wallet(db, lead=owner, now=now)
    return {"ref": wallet_by_ref(db, str(wallet_id), actor=people.queries.actor_of(db, owner)).project_slug}


def make_purchase(db: Session, owner: UUID, now: datetime) -> Mapping[str, Any]:
    """Let the owner order by bank transfer."""
    make.price_list(db, now=now)
    wallet_id = make.wallet(db, lead=owner, now=now)
    return {"number": make.purchase(db, wallet_id, buyer=people.queries.actor_of(db, owner), now=now, method=Method.BANK).number}


def make_paper(db: Session, owner: UUID, now: datetime) -> Mapping[str, Any]:
    """Give the owner a paid purchase with its invoice."""
    from portal.payments.queries.purchases import documents_of

    make.price_list(db, now=now)
    wallet_id = make.wallet(db, lead=owner, now=now)
    purchase = make.purchase(db, wallet_id, buyer=people.queries.actor_of(db, owner), now=now, method=Method.BANK)
    make.pay(db, purchase, now=now)
    return {"number": purchase.number, "document_id": documents_of(db, purchase.id)[0].id}


OBJECTS = {"wallet_to_buy_for": make_wallet, "purchase": make_purchase, "paper": make_paper}
