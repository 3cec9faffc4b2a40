"""What other domains may join: stable columns, whatever the tables become."""

from sqlalchemy import select

from portal.incubation.models import ProgramApplication, Venture

venture = select(Venture.id, Venture.number, Venture.name, Venture.project_id, Venture.state, Venture.admitted_at).subquery("venture_relation")

program_application = select(
    ProgramApplication.id, ProgramApplication.number, ProgramApplication.call_id, ProgramApplication.lead_id, ProgramApplication.title, ProgramApplication.state
).subquery("program_application_relation")
