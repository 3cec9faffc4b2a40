"""What other domains may join: stable columns, whatever the tables become."""

from sqlalchemy import select

from portal.compute.models import ComputeSession, Profile

compute_session = select(
    ComputeSession.id,
    ComputeSession.number,
    ComputeSession.slug,
    ComputeSession.project_id,
    ComputeSession.person_id,
    ComputeSession.profile_id,
    ComputeSession.state,
    ComputeSession.label,
    ComputeSession.generation,
    ComputeSession.course_context,
    ComputeSession.requested_at,
    ComputeSession.started_at,
    ComputeSession.ready_at,
    ComputeSession.ended_at,
    ComputeSession.duration_s,
    ComputeSession.proven_s,
).subquery("compute_session_relation")

profile = select(Profile.id, Profile.slug, Profile.name, Profile.charge_class, Profile.power_w).subquery("compute_profile_relation")
