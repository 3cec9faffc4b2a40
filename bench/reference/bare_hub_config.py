"""The frozen reference of `handoff`: JupyterHub as shipped, its own local spawner, the same single-user environment."""

import os
from pathlib import Path

c = get_config()  # noqa: F821
here = Path(os.environ["BENCH_HUB_DIR"])
c.JupyterHub.bind_url = os.environ["BENCH_HUB_URL"]
c.JupyterHub.hub_ip = "127.0.0.1"
c.JupyterHub.hub_port = int(os.environ["BENCH_HUB_PORT"])
c.JupyterHub.db_url = os.environ["BENCH_HUB_DATABASE_URL"]
c.JupyterHub.cookie_secret_file = str(here / "cookie_secret")
c.JupyterHub.authenticator_class = "dummy"
c.JupyterHub.spawner_class = "simple"
c.JupyterHub.allow_named_servers = True
c.JupyterHub.services = [{"name": "bench", "api_token": os.environ["BENCH_HUB_TOKEN"], "admin": True}]
c.ConfigurableHTTPProxy.command = os.environ["BENCH_PROXY"].split()
c.ConfigurableHTTPProxy.api_url = os.environ["BENCH_PROXY_API_URL"]
c.ConfigurableHTTPProxy.pid_file = str(here / "proxy.pid")
c.SimpleLocalProcessSpawner.home_dir_template = str(here / "homes" / "{username}")
c.Spawner.cmd = [os.environ["BENCH_SINGLEUSER"]]
c.Spawner.args = ["--allow-root"] if os.getuid() == 0 else []
c.Spawner.default_url = "/lab"
