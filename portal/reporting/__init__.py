"""Read-only views over the other domains: what became of credits, for funders, finance and staff.

Words: a *report* is about a *subject*, a fund (the lots that came from it) or a cohort (the projects that a call admitted,
with all their lots), over whole months of the hub's zone. A *flow* is what happened to the subject's lots in a month or a
project: opening + issued - used - expired - returned + moved = closing, everything from the journal.

Nothing is written here, and no person is named. Called by nobody below; may read the tables of every domain.
"""
