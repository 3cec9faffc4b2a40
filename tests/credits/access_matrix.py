"""Who may call the routes of credits."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from portal.credits.permissions import Permission
from portal.projects.operations import members, projects
from portal.projects.states import MemberRole, ProjectKind
from tests.architecture.access_matrix import Row
from tests.factories import credits as make

MEMBERS = "leads and members of the wallet's project; finance, staff, funders, administrators"

ROWS = {
    "credits.wallets": Row("signed_in", relation="lists " + MEMBERS),
    "credits.wallet": Row("signed_in", relation=MEMBERS, object="wallet"),
    "credits.statement": Row("signed_in", relation=MEMBERS, object="wallet"),
    "credits.statement_csv": Row("signed_in", relation=MEMBERS, object="wallet"),
    "credits.wallet_days": Row("signed_in", relation=MEMBERS, object="wallet"),
    "credits.warning_list": Row("signed_in", relation="lists the wallets of " + MEMBERS),
    "credits.switch_digest": Row("signed_in", relation="one's own mail"),
    "credits.edit_warnings": Row("signed_in", relation=MEMBERS, object="wallet"),
    "credits.lot": Row("signed_in", relation=MEMBERS, object="lot"),
    "credits.move_lot": Row("signed_in", relation="leads of the wallet's project", object="lot"),
    "credits.give_back_lot": Row("signed_in", relation="leads of the wallet's project", object="lot"),
    "credits.extend_lot": Row("permission", permission=Permission.CHANGE_LOT, relation="never of a project of one's own"),
    "credits.supplement_lot": Row("permission", permission=Permission.GIVE_GRANT, relation="never to a project of one's own"),
    "credits.correct_charge": Row("permission", permission=Permission.ADJUST, relation="never of a project of one's own"),
    "credits.write_off": Row("permission", permission=Permission.ADJUST, relation="never of a project of one's own"),
    "credits.approve_adjustment": Row("permission", permission=Permission.DECIDE_GRANT, relation="never whoever asked"),
    "credits.decline_adjustment": Row("permission", permission=Permission.DECIDE_GRANT, relation="never whoever asked"),
    "credits.withdraw_adjustment": Row("permission", permission=Permission.ADJUST, relation="whoever asked"),
    "credits.revoke_lot": Row("permission", permission=Permission.CHANGE_LOT, relation="never of a project of one's own"),
    "credits.ask_for_file": Row("signed_in", relation=MEMBERS, object="wallet_file"),
    "credits.statement_file": Row("signed_in", relation="whoever asked for it, while they may see the wallet", object="file"),
    "credits.download": Row("signed_in", relation="whoever asked for it, while they may see the wallet", object="file"),
    "credits.month_list": Row("permission", permission=Permission.SEE_FUNDS),
    "credits.close_month": Row("permission", permission=Permission.CLOSE_MONTH),
    "credits.funds": Row("permission", permission=Permission.SEE_FUNDS),
    "credits.fund": Row("permission", permission=Permission.SEE_FUNDS),
    "credits.new_fund": Row("permission", permission=Permission.OPEN_FUND),
    "credits.new_grant": Row("permission", permission=Permission.GIVE_GRANT, relation="never to a project of one's own"),
    "credits.waiting_grants": Row("permission", permission=Permission.DECIDE_GRANT),
    "credits.approve_grant": Row("permission", permission=Permission.DECIDE_GRANT, relation="never whoever asked"),
    "credits.decline_grant": Row("permission", permission=Permission.DECIDE_GRANT, relation="never whoever asked"),
    "credits.withdraw_grant": Row("permission", permission=Permission.GIVE_GRANT, relation="whoever asked"),
}


def make_wallet(db: Session, owner: UUID, now: datetime) -> Mapping[str, Any]:
    """Open a project of the owner's, with a wallet that has something in it."""
    from portal.credits.operations import wallets

    project_id = projects.open(db, kind=ProjectKind.VENTURE, name="Darija speech", by=make.TESTS, now=now)
    members.add(db, project_id=project_id, person_id=owner, role=MemberRole.LEAD, by=make.TESTS, now=now)
    wallet_id = wallets.open(db, project_id=project_id, by=make.TESTS, now=now)
    make.lot(db, wallet_id, now=now)
    return {"ref": str(wallet_id)}


def make_wallet_file(db: Session, owner: UUID, now: datetime) -> Mapping[str, Any]:
    """Open a wallet of the owner's, to ask for its statement as PDF."""
    return {**make_wallet(db, owner, now), "fmt": "pdf"}


def make_file(db: Session, owner: UUID, now: datetime) -> Mapping[str, Any]:
    """Give the owner a statement as a file."""
    from portal.core.ids import new_id
    from portal.credits.operations import exports
    from portal.credits.states import ExportFormat
    from tests.factories import identity as people

    found, export_id = make_wallet(db, owner, now), new_id()
    terms = {"fmt": ExportFormat.PDF, "language": "en", "first_on": now.date(), "last_on": now.date(), "by": people.queries.actor_of(db, owner), "now": now}
    number = exports.ask(db, export_id=export_id, wallet_id=UUID(found["ref"]), **terms)
    exports.begin(db, export_id)
    exports.note(db, export_id, lines=1, lines_done=1)
    exports.finish(db, export_id, b"%PDF", now=now)
    return {**found, "number": number}


def make_lot(db: Session, owner: UUID, now: datetime) -> Mapping[str, Any]:
    """Open a wallet that the owner leads, and name its lot."""
    from portal.credits.queries import lots_of_wallet

    found = make_wallet(db, owner, now)
    return {**found, "number": lots_of_wallet(db, UUID(found["ref"]), now=now)[0].number}


OBJECTS = {"wallet": make_wallet, "lot": make_lot, "wallet_file": make_wallet_file, "file": make_file}
