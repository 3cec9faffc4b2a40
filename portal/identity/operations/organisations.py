"""Organisations: opening, members, and invitations that give nothing before their confirmed address accepts."""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import Select, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from portal.core import audit
from portal.core.access import Actor, Role
from portal.core.errors import N_, Conflict, Invalid, NotFound, Refused
from portal.core.ids import digest, new_id, new_secret
from portal.identity import rules
from portal.identity.models import Invitation, Membership, Organisation, Person
from portal.identity.operations.people import normal_email
from portal.identity.states import MembershipRole, OrganisationKind
from portal.notifications.operations import outbox
from portal.notifications.recipients import Recipient
from portal.settings import TIME_ZONE


class OrganisationNameWrong(Invalid):
    """No name, or one that is too long."""

    text = N_("Give a name of at most %(most)s characters.")
    field = "name"


class HubKindRefused(Refused):
    """The hub itself is opened by staff."""

    text = N_("Only staff open an organisation of this kind.")
    field = "kind"


class IsMember(Conflict):
    """The person belongs to the organisation already."""

    text = N_("This person is a member already.")
    field = "email"


class LastOwner(Refused):
    """An organisation keeps an owner."""

    text = N_("An organisation needs an owner. Make somebody else an owner first.")


class InvitationOver(Conflict):
    """Accepted, withdrawn or too old."""

    text = N_("This invitation is over: it was used, withdrawn, or is too old. Ask for a new one.")


class InvitationElsewhere(Refused):
    """The invitation went to another address than the person's."""

    text = N_("This invitation was sent to another address. Sign in with the account of that address.")


class AddressNotConfirmed(Refused):
    """Membership needs a confirmed address."""

    text = N_("Confirm your own address first, then accept.")


def open(db: Session, *, name: str, kind: OrganisationKind, by: Actor, now: datetime) -> uuid.UUID:  # noqa: A001 -- reads as organisations.open
    """Open an organisation and return its id; the person who opens it owns it. Raises OrganisationNameWrong, HubKindRefused."""
    cleaned = rules.clean_name(name)
    if not cleaned or len(cleaned) > rules.NAME_MOST:
        raise OrganisationNameWrong(most=rules.NAME_MOST)
    if kind is OrganisationKind.HUB and not by.has(Role.STAFF, Role.ADMINISTRATOR):
        raise HubKindRefused
    organisation_id = new_id()
    db.execute(insert(Organisation).values(id=organisation_id, name=cleaned, kind=kind.value, opened_at=now))
    if by.person_id is not None:
        _add(db, organisation_id, by.person_id, MembershipRole.OWNER, now)
    audit.record(db, "opened", "organisation", organisation_id, by=by, now=now, kind=kind.value)
    return organisation_id


def _add(db: Session, organisation_id: uuid.UUID, person_id: uuid.UUID, role: MembershipRole, now: datetime) -> bool:
    row = insert(Membership).values(organisation_id=organisation_id, person_id=person_id, role=role.value, joined_at=now)
    return db.execute(row.on_conflict_do_nothing().returning(Membership.person_id)).first() is not None


def invite(db: Session, *, organisation_id: uuid.UUID, email: str, role: MembershipRole, by: Actor, now: datetime) -> uuid.UUID:
    """Invite an address by mail and return the invitation's id; an open invitation of that address is replaced.

    Raises NotFound unless `by` owns the organisation, EmailWrong, IsMember.
    """
    organisation = _owned(db, organisation_id, by)
    address = normal_email(email)
    if db.execute(_members(organisation_id).where(Person.email == address, Person.confirmed_at.is_not(None))).first() is not None:
        raise IsMember
    secret, invitation_id = new_secret(), new_id()
    _withdraw(db, Invitation.email == address, organisation_id, now)
    row = Invitation(
        id=invitation_id,
        organisation_id=organisation_id,
        email=address,
        role=role.value,
        token_digest=digest(secret),
        invited_by=by.person_id,
        invited_at=now,
        expires_at=now + rules.INVITATION_LIFE,
    )
    db.add(row)
    db.flush()
    audit.record(db, "invited", "organisation", organisation_id, by=by, now=now, invitation_id=str(invitation_id), role=role.value)
    _mail(db, address, organisation.name, secret=secret, by=by, now=now)
    return invitation_id


def _mail(db: Session, address: str, organisation_name: str, *, secret: str, by: Actor, now: datetime) -> None:
    inviter = db.execute(select(Person.display_name, Person.language).where(Person.id == by.person_id)).one_or_none()
    # Whether the address has an account, and its language, is not looked up: the inviter could learn it from the mail's reply.
    language = inviter.language if inviter else "en"
    context = {
        "inviter": inviter.display_name if inviter else "Tetouan AI Hub",
        "organisation": organisation_name,
        "path": f"/invitations/{secret}",
        "days": rules.INVITATION_LIFE.days,
    }
    recipient = Recipient(None, address, language, TIME_ZONE)
    outbox.queue(db, kind="identity.invitation", recipient=recipient, context=context, now=now, is_secret=True)


def withdraw(db: Session, *, organisation_id: uuid.UUID, invitation_id: uuid.UUID, by: Actor, now: datetime) -> None:
    """Withdraw an open invitation: its link is dead. Raises NotFound unless `by` owns the organisation."""
    _owned(db, organisation_id, by)
    if not _withdraw(db, Invitation.id == invitation_id, organisation_id, now):
        raise InvitationOver
    audit.record(db, "withdrew invitation", "organisation", organisation_id, by=by, now=now, invitation_id=str(invitation_id))


def _withdraw(db: Session, which: Any, organisation_id: uuid.UUID, now: datetime) -> bool:
    is_open = Invitation.accepted_at.is_(None) & Invitation.withdrawn_at.is_(None)
    done = update(Invitation).where(which, Invitation.organisation_id == organisation_id, is_open).values(withdrawn_at=now)
    return db.execute(done.returning(Invitation.id)).first() is not None


def accept(db: Session, *, secret: str, by: Actor, now: datetime) -> uuid.UUID:
    """Accept an invitation with its link's secret and return the organisation's id.

    The person's own confirmed address must be the one it was sent to. The link is used up in the same statement.
    Raises NotFound, InvitationOver, InvitationElsewhere, AddressNotConfirmed.
    """
    person = db.execute(select(Person.email, Person.confirmed_at).where(Person.id == by.id)).one()
    row = db.execute(select(Invitation.email).where(Invitation.token_digest == digest(secret))).one_or_none()
    if row is None:
        raise NotFound
    if row.email.casefold() != person.email.casefold():
        raise InvitationElsewhere
    if person.confirmed_at is None:
        raise AddressNotConfirmed
    is_open = Invitation.accepted_at.is_(None) & Invitation.withdrawn_at.is_(None) & (Invitation.expires_at > now)
    taken = update(Invitation).where(Invitation.token_digest == digest(secret), is_open).values(accepted_at=now, accepted_by=by.id)
    accepted = db.execute(taken.returning(Invitation.organisation_id, Invitation.role, Invitation.id)).one_or_none()
    if accepted is None:
        raise InvitationOver
    _add(db, accepted.organisation_id, by.id, MembershipRole(accepted.role), now)
    audit.record(db, "joined", "organisation", accepted.organisation_id, by=by, now=now, invitation_id=str(accepted.id), role=accepted.role)
    organisation_id: uuid.UUID = accepted.organisation_id
    return organisation_id


def change_role(db: Session, *, organisation_id: uuid.UUID, person_id: uuid.UUID, role: MembershipRole, by: Actor, now: datetime) -> None:
    """Make a member an owner, or an owner a member. Raises NotFound unless `by` owns the organisation, LastOwner."""
    _owned(db, organisation_id, by)
    if role is MembershipRole.MEMBER:
        _keep_an_owner(db, organisation_id, without=person_id)
    changed = update(Membership).where(Membership.organisation_id == organisation_id, Membership.person_id == person_id).values(role=role.value)
    if db.execute(changed.returning(Membership.person_id)).first() is None:
        raise NotFound
    audit.record(db, "changed member", "organisation", organisation_id, by=by, now=now, person_id=str(person_id), role=role.value)


def remove(db: Session, *, organisation_id: uuid.UUID, person_id: uuid.UUID, by: Actor, now: datetime) -> None:
    """Take a member out, or leave oneself. Raises NotFound unless `by` owns the organisation or leaves, LastOwner."""
    if by.person_id != person_id:
        _owned(db, organisation_id, by)
    _keep_an_owner(db, organisation_id, without=person_id)
    gone = delete(Membership).where(Membership.organisation_id == organisation_id, Membership.person_id == person_id)
    if db.execute(gone.returning(Membership.person_id)).first() is None:
        raise NotFound
    audit.record(db, "left" if by.person_id == person_id else "removed", "organisation", organisation_id, by=by, now=now, person_id=str(person_id))


def _keep_an_owner(db: Session, organisation_id: uuid.UUID, *, without: uuid.UUID) -> None:
    """Raise LastOwner when nobody else would own the organisation; two owners who leave at once wait for each other."""
    db.execute(select(Organisation.id).where(Organisation.id == organisation_id).with_for_update())
    owners = select(Membership.person_id).where(Membership.organisation_id == organisation_id, Membership.role == MembershipRole.OWNER.value)
    ids = set(db.scalars(owners))
    if ids == {without}:
        raise LastOwner


def _members(organisation_id: uuid.UUID) -> Select[Any]:
    return select(Person.id).join(Membership, Membership.person_id == Person.id).where(Membership.organisation_id == organisation_id)


def _owned(db: Session, organisation_id: uuid.UUID, by: Actor) -> Any:
    query = select(Organisation.id, Organisation.name).where(Organisation.id == organisation_id)
    if not by.is_process:
        is_owner = select(func.count()).where(
            Membership.organisation_id == Organisation.id, Membership.person_id == by.id, Membership.role == MembershipRole.OWNER.value
        )
        query = query.where(is_owner.scalar_subquery() > 0)
    row = db.execute(query).one_or_none()
    if row is None:
        raise NotFound
    return row
