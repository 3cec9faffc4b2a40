"""Who works in a venture beside its founder, and what they may take of its credits."""

import uuid
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from portal.compute.operations import allowances
from portal.core.quantities import credits_ucr
from portal.demo import people
from portal.demo.people import Cast
from portal.projects.operations import members
from portal.projects.states import MemberRole


def build(db: Session, cast: Cast, *, project_id: uuid.UUID, now: datetime) -> None:
    """Take an engineer into the founder's venture, with a weekly allowance and a request for more that waits."""
    founder, engineer = cast[people.FOUNDER], cast[people.ENGINEER]
    joined_at = now - timedelta(days=20)
    members.add(db, project_id=project_id, person_id=engineer.id, role=MemberRole.MEMBER, by=founder, now=joined_at)
    members.add(db, project_id=project_id, person_id=cast[people.MENTOR].id, role=MemberRole.MEMBER, by=founder, now=joined_at)
    allowances.set_weekly(db, project_id=project_id, person_id=None, weekly_ucr=credits_ucr(10), by=founder, now=joined_at)
    allowances.set_weekly(db, project_id=project_id, person_id=engineer.id, weekly_ucr=credits_ucr(40), by=founder, now=joined_at)
    why = "نحتاج إلى تدريب النموذج على بطاقة كاملة قبل عرض يوم الخميس."
    allowances.ask(db, project_id=project_id, asked_ucr=credits_ucr(100), reason=why, by=engineer, now=now - timedelta(hours=3))
