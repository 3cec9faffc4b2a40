"""The GPU credit ledger: wallets, lots, holds, captures, expiry, statements.

Words
    fund       a sponsor's budget; credits come from its account `issuance:{fund}`, which cannot pass the budget
    wallet     what one project spends from; its row is the lock of everything below
    lot        one grant: fund, purpose, eligible classes, priority, effective and expiry instants; never changed
    meter      one compute session in one generation: rate, proven seconds, what is booked
    segment    a stretch of a meter under one price; a price that changes begins a new one
    hold       one window (15 minutes) of a meter, with its shares of lots in the order they are spent
    booking    a transaction of the append-only journal: two entries or more that sum to zero

Invariants are those of docs/architecture.md; `verify.run` checks them. The database refuses by itself: changes to
the journal, transactions that do not sum to zero, balances past their bounds, gaps in an account's versions,
windows of one meter that overlap.

Who may call: every write goes through `operations`, which lock wallet rows in id order first. Machine work
(`meters.roll_due`, `meters.record_proven`, `expiry.sweep`) takes a fixed number of statements whatever the number
of sessions. Projects, incubation and learning open wallets and give grants; compute drives the meters.
"""
