"""An outage of two days ago that staff opened, looked at and made good."""

from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from portal.compute.operations import incidents
from portal.compute.queries.incidents import incident_by_number, touched
from portal.compute.states import IncidentKind
from portal.demo import people
from portal.demo.people import Cast


def build(db: Session, cast: Cast, *, now: datetime) -> None:
    """Make good what the founder's session of that morning lost."""
    staff, seen_at = cast[people.STAFF], now - timedelta(days=1)
    begins_at = now.replace(hour=10, minute=0, second=0, microsecond=0) - timedelta(days=2)
    note = "The cooling of rack 2 stopped"
    ends_at = begins_at + timedelta(minutes=30)
    number = incidents.open(db, kind=IncidentKind.OUTAGE, node_id=None, starts_at=begins_at, ends_at=ends_at, note=note, by=staff, now=seen_at)
    incident = incident_by_number(db, number)
    seen_ucr = sum(row.total_ucr for row in touched(db, incident, now=seen_at))
    incidents.confirm(db, incident_id=incident.id, seen_ucr=seen_ucr, by=staff, now=seen_at)
    while incidents.give_next(db, incident_id=incident.id, now=seen_at):
        pass
