"""Incubation: calls, applications, reviews, decisions and the ventures that come of them.

Words: a *call* of a programme is open between two instants; people answer its form with a *program application*;
*reviewers* score it on the call's rubric; staff prepare a *decision* and release it; an accepted application becomes
a *venture* with a project, a wallet and an *award* of credits.

Invariants
- A form version and a rubric version never change; an application and its reviews keep the version they began with.
- A draft is the lead person's alone. What was submitted is kept whole, with its SHA-256, and never changes.
- Nothing is submitted without consent, outside the call's dates, or with an answer that breaks its question's rules.
- A missing score is missing: there is no row and no zero, and means say how many reviews they come from.
- A review belongs to the revision that its reviewer read. A review that was sent never changes.
- A conflict of interest hides the application from that person everywhere, staff included.
- Award, project, membership, wallet, credit grant and mail are one transaction; the call's seats and budget and the
  fund's budget are never passed.

Called by desk, reporting and demo. Reads are scoped by actor in SQL; what is not one's own is not found.
"""
