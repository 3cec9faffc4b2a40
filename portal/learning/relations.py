"""What other domains may join: stable columns, whatever the tables become."""

from sqlalchemy import select

from portal.learning.models import CourseRun, Enrolment

course_run = select(
    CourseRun.id, CourseRun.number, CourseRun.slug, CourseRun.course_id, CourseRun.title, CourseRun.project_id, CourseRun.starts_at, CourseRun.ends_at
).subquery("course_run_relation")

enrolment = select(Enrolment.id, Enrolment.run_id, Enrolment.person_id, Enrolment.state, Enrolment.joined_at).subquery("enrolment_relation")
