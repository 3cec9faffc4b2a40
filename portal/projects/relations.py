"""What other domains may join: stable columns, whatever the tables become."""

from sqlalchemy import select

from portal.projects.models import Project, ProjectMember

project = select(Project.id, Project.number, Project.slug, Project.kind, Project.name, Project.is_open).subquery("project_relation")

member = (
    select(ProjectMember.project_id, ProjectMember.person_id, ProjectMember.role, ProjectMember.joined_at)
    .where(ProjectMember.left_at.is_(None))
    .subquery("project_member_relation")
)
