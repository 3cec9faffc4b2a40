"""What other domains may join: stable selectables; the tables stay private."""

from sqlalchemy import Subquery, Text, cast, literal, select

from portal.identity.models import Membership, Organisation, Person, RoleAssignment

person: Subquery = select(
    Person.id,
    Person.number,
    (literal("u-") + cast(Person.number, Text)).label("slug"),
    Person.display_name,
    Person.email,
    Person.language,
    Person.zone,
    Person.is_active,
).subquery("person_relation")

organisation: Subquery = select(Organisation.id, Organisation.name, Organisation.kind).subquery("organisation_relation")

membership: Subquery = select(Membership.organisation_id, Membership.person_id, Membership.role).subquery("membership_relation")

role: Subquery = select(RoleAssignment.person_id, RoleAssignment.role).subquery("role_relation")
