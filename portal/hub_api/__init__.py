"""What the hub's plug-in calls (docs/hub-protocol.md): redeem a ticket, deliver observations, ask whether we are there.

Machines alone, by bearer key; JSON in and out, errors as RFC 9457 problems. Served by a worker of its own, so that
slow pages never keep a session from starting. It fails closed: whatever is not a clean yes starts nothing.
"""
