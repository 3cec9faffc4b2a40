"""Courses, their runs, who takes part, how far they are, and the labs they open.

A *course* is files (`portal.learning.content`): lessons and labs with ids that never change, and a revision. A *course
run* is a course given from one day to another: seats, a project and the wallet that pays its labs. An *enrolment* is a
person in a run; a *visit* is what they read of a lesson; a *lab launch* is a compute session that they opened for a lab.

Invariants: a person is enrolled in a run at most once, and comes back to the same enrolment; no more people are enrolled
than a run has seats, counted under the run's lock; an enrolled person is a learner of the run's project, and nobody else
is; only a lab of the run's course is launched on the run's credits; a course's files are never imported or executed.

The catalogue and the first lesson are public; the other lessons and the labs are for those who are enrolled, and for
whoever leads the run. Called by desk, incubation and the demo world.
"""
