"""The portal of the Tetouan AI hub. This page is the map of the folders; it imports nothing.

factory.py       create_app(): the composition root, the table of blueprints and prefixes
settings.py      frozen dataclasses, read once from the environment
cli/             the `portal` command: processes, migrations, administration
core/            clock, ids, database, quantities, errors, states, access, audit, facts, jobs; no Flask, no domain
web/             Flask mechanisms: unit of work, access, forms, pages, errors, templates/layout, assets; no domain
notifications/   messages, outbox, delivery
identity/        people, organisations, memberships, roles, sign-in, OpenID Connect provider
projects/        what owns a wallet and has members
credits/         the ledger: where a GPU credit is granted, held, spent and expires
compute/         pool, profiles, compute sessions, metering, energy
learning/        courses, course runs, enrolment, lessons, labs
incubation/      calls, applications, reviews, decisions, ventures
desk/            what spans domains: home pages, reactions, permission page
hub_api/         what the hub calls (docs/hub-protocol.md)
hub_plugin/      runs inside the hub's process
demo/            the demo world's generator
migrations/      Alembic, one history
translations/    one catalogue: English is the source, French and Arabic

Standing empty on their floors until their issue: datasets, payments, skills, annotation, talent,
reporting, api, node_agent, session_plugin.
"""
