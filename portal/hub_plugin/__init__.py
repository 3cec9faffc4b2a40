"""The plug-in that makes a JupyterHub the portal's: runs in the hub's process, imports nothing of the portal.

settings.py        what the hub reads from its environment
configuration.py   configure_hub(c), the last line of jupyterhub_config.py
contract.py        what portal and hub say to each other, as values (docs/hub-protocol.md)
portal_client.py   the two calls to the portal
tickets.py         no ticket, no start
spawner.py         one session, one sandbox, nothing without a grant
sessions.py        started behind the gate, watched to the instant of their end, stopped for good
launch.py          the gate itself, and limits of a process
sandbox.py         the walls: bubblewrap
cgroups.py         control groups where there are some
limits.py          which limits hold here, tried and written down
homes.py           homes and the files placed in them
processes.py       identity, age, tree and end of a process
registry.py        what is known of each running session, on disk
spool.py           observations on disk until the portal has them
agent.py           the loops: look, deliver, obey leases
sign_in.py         OpenID Connect with the portal

Invariants: a session without a grant never runs; nothing runs before its record and its `started`
observation are on disk; its record goes after its `exited` observation is on disk; no process is
signalled whose identity does not hold; what the portal has not acknowledged is never deleted.
"""

from portal.hub_plugin.configuration import configure_hub

__all__ = ["configure_hub"]
