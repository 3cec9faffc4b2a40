"""The hub's deployment choices; everything else is in portal.hub_plugin, which the last line calls.

Addresses, secrets and folders come from the environment (docs/hub-protocol.md). Start the proxy first,
as a process of its own (portal.hub_plugin.proxy says how), then `jupyterhub -f jupyterhub_config.py`.
"""

from pathlib import Path

from portal.hub_plugin import configure_hub

c = get_config()
here = Path(__file__).resolve().parent

# What sessions find as /etc/jupyter: kernels on sockets in files, no news and no update checks.
c.SessionSpawner.jupyter_config_dir = str(here / "deploy" / "singleuser" / "jupyter")

# Data that every session may read, at the same path (a shared data set, /opt/cuda).
c.SessionSpawner.read_only_paths = []

# How long a server may take to save and end by itself before it is killed.
c.SessionSpawner.stop_patience_s = 10

# A JupyterLab takes about four seconds to start; the slowest disk may take a minute.
c.Spawner.start_timeout = 120
c.Spawner.http_timeout = 60

# The plug-in sees a session's end at once; this is the hub's own slower look beside it.
c.Spawner.poll_interval = 30

# More starts at once than this only slow each other down: two for each processor, at least ten.
c.JupyterHub.concurrent_spawn_limit = 20

# How often a person's sign-in is checked against the portal.
c.PortalAuthenticator.auth_refresh_age = 300
c.PortalAuthenticator.login_service = "Tetouan AI Hub"

c.JupyterHub.cookie_max_age_days = 1
c.JupyterHub.log_level = "INFO"

configure_hub(c)
