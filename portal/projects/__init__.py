"""Projects own a wallet, a quota, volumes, secrets and members; people spend credits through a project.

A project is a person's own, a venture's, a course run's, a labelling campaign's, a research group's or a company's.
Its number and slug (`p-12`) never change.

Words: a *lead* answers for the project and its members; a *member* launches sessions and spends its credits;
a *learner* may use it only through the course that it belongs to.

Invariants: a person is a current member of a project at most once; an open project has at least one lead, except
a course run's or campaign's, which staff lead by permission.

Called by credits (wallets belong to projects) and everything above.
"""
