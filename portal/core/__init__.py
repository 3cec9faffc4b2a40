"""What every domain stands on: no Flask, no domain.

clock       the only source of the present
ids         time-ordered ids, public numbers, secrets
quantities  credits, money and energy as integers
errors      the four kinds of refusal, translated at the edge
states      state machines as tables
access      who acts: Actor, Role, Permission
database    declarative base, column types, engine
audit       who did what, append-only
facts       what happened, for domains above to react to
jobs        queued and periodic work, enqueued in the transaction of its change
limits      counters for sign-in and abuse limits, in PostgreSQL
local_postgres  the private server of `make up` and of the tests
"""
