"""The locks, tried from outside: no way but the portal's button starts a server or costs a credit."""

import json

import httpx

from tests.journeys.browser import Browser
from tests.journeys.people import Launched
from tests.journeys.world import World


def try_all(world: World, browser: Browser, used: Launched, person: str) -> str:
    """Try the hub's own spawn page, its forms, and its API with the person's own rights. Each must start nothing. person: their name at the hub."""
    before = _servers(world)
    tried = 0
    for path in (
        "/hub/spawn",
        "/hub/spawn/",
        f"/hub/spawn/{person}",
        f"/hub/spawn/{person}/extra",
        f"/hub/spawn-pending/{person}/{used.server}",
    ):
        for method in ("GET", "POST"):
            answer = browser._client.request(method, f"{world.hub_url}{path}", data={"_xsrf": _hub_xsrf(browser)} if method == "POST" else None)
            assert answer.status_code in {302, 303, 400, 403, 404, 405, 424}, (method, path, answer.status_code)
            tried += 1
    for body in ({}, {"ticket": "x" * 43}, {"user_options": {"ticket": "x" * 43}}):
        url = f"{world.hub_url}/hub/api/users/{person}/servers/again"
        answer = browser._client.post(url, json=body, headers={"X-XSRFToken": _hub_xsrf(browser)})
        assert answer.status_code in {401, 403, 404}, (body, answer.status_code)
        tried += 1
    # Our own worker's token without a fresh ticket: the second lock.
    token = _service_token(world)
    for server, body in (("again", {}), ("again", {"ticket": "x" * 43}), (used.server, {})):
        url = f"{world.hub_url}/hub/api/users/{person}/servers/{server}"
        answer = httpx.post(url, json={"user_options": body} if body else {}, headers={"Authorization": f"token {token}"}, timeout=60)
        assert answer.status_code != 201, (server, body, answer.status_code, answer.text[:300])
        tried += 1
    after = _servers(world)
    assert after == before, f"servers before {before}, after {after}"
    return f"{tried} attempts, no server, no credit"


def _hub_xsrf(browser: Browser) -> str:
    mine = [cookie for cookie in browser.cookies.jar if cookie.name == "_xsrf" and (cookie.path or "").startswith("/hub")]
    return (mine[0].value or "") if mine else ""


def _service_token(world: World) -> str:
    token: str = json.loads((world.var_dir / "secrets" / "development.json").read_text())["HUB_SERVICE_TOKEN"]
    return token


def _servers(world: World) -> list[str]:
    headers = {"Authorization": f"token {_service_token(world)}", "Accept": "application/jupyterhub-pagination+json"}
    users = httpx.get(f"{world.hub_url}/hub/api/users?state=active", headers=headers, timeout=30).raise_for_status().json()["items"]
    return sorted(f"{user['name']}/{name}" for user in users for name in user["servers"])
