"""Nothing starts without a ticket, whoever asks and however: a real hub, a real proxy, a portal's word."""

import re

import pytest

from tests.hub_plugin.fake_portal import grant
from tests.hub_plugin.running_hub import ADMIN_TOKEN, wait_for
from tests.hub_plugin.witness import processes_with

pytestmark = pytest.mark.hub


def nothing_runs(hub, username):
    return not hub.servers(username) or not any(server["ready"] or server["pending"] for server in hub.servers(username).values())


def test_start_with_a_ticket(shared_hub):
    hub = shared_hub
    hub.make_user("u-10")
    ticket = hub.portal.issue("u-10", "s-10", grant("start-10", home="u-10", environment={"AIHUB_SESSION": "start-10"}))

    answer = hub.launch("u-10", "s-10", ticket)

    assert answer.status_code == 201, answer.text
    assert hub.is_ready("u-10", "s-10")
    assert processes_with("AIHUB_SESSION=start-10")
    environment = hub.client.get(f"http://127.0.0.1:{hub.record('start-10').port}/user/u-10/s-10/").json()["environment"]
    assert environment["CUDA_VISIBLE_DEVICES"] == ""
    assert environment["AIHUB_DEVICES"] == "sim-0"
    assert environment["JUPYTERHUB_DEFAULT_URL"] == "/lab"
    assert hub.end("u-10", "s-10").status_code == 204
    assert not processes_with("AIHUB_SESSION=start-10")


def test_pages_of_the_hub_start_nothing(shared_hub):
    hub = shared_hub
    hub.make_user("u-11")
    browser = hub.sign_in("u-11")
    xsrf = browser.cookies.get("_xsrf", path="/hub/")
    before = len(hub.portal.redeemed)
    read = ("/hub/spawn", "/hub/spawn/u-11", "/hub/spawn/u-11/s-11", "/hub/spawn?ticket=abc", "/hub/spawn-pending/u-11/s-11", "/hub/user-redirect/lab")
    seen = [(path, browser.get(hub.url + path).status_code) for path in read]
    form = {"ticket": "abc", "_xsrf": xsrf}
    seen += [(path, browser.post(hub.url + path, data=form, params={"_xsrf": xsrf}).status_code) for path in ("/hub/spawn", "/hub/spawn/u-11/s-11")]
    seen.append(("api", browser.post(f"{hub.url}/hub/api/users/u-11/servers/s-11", json={"ticket": "abc"}, headers={"X-XSRFToken": xsrf}).status_code))
    browser.close()

    assert {status for path, status in seen if path != "/hub/user-redirect/lab"} <= {403, 404}, seen
    assert nothing_runs(hub, "u-11")
    assert len(hub.portal.redeemed) == before
    assert not list((hub.state / "logs").glob("start-11*"))


def test_start_by_a_persons_token_is_refused_even_with_a_good_ticket(shared_hub):
    hub = shared_hub
    hub.make_user("u-12")
    ticket = hub.portal.issue("u-12", "s-12", grant("start-12", home="u-12"))
    token = hub.user_token("u-12")

    assert hub.launch("u-12", "s-12", ticket, token=token).status_code == 403
    assert hub.call("POST", "/users/u-12/server", token=token, json={"ticket": ticket}).status_code == 403
    assert nothing_runs(hub, "u-12")
    assert ticket not in hub.portal.redeemed
    assert hub.launch("u-12", "s-12", ticket).status_code == 201, "the ticket itself was good"
    hub.end("u-12", "s-12")


@pytest.mark.parametrize(
    "options", [{}, {"user_options": {}}, {"user_options": {"ticket": ""}}, {"user_options": {"ticket": 7}}, {"user_options": {"ticket": ["x" * 43]}}]
)
def test_start_without_a_ticket_is_refused(shared_hub, options):
    hub = shared_hub
    hub.make_user("u-13")

    answer = hub.call("POST", "/users/u-13/servers/s-13", json=options)

    assert answer.status_code == 403
    assert hub.portal.url in answer.json()["message"]
    assert nothing_runs(hub, "u-13")


def test_start_of_the_default_server_is_refused(shared_hub):
    hub = shared_hub
    hub.make_user("u-14")
    ticket = hub.portal.issue("u-14", "", grant("start-14", home="u-14"))

    assert hub.call("POST", "/users/u-14/server", json={"user_options": {"ticket": ticket}}).status_code == 403
    assert nothing_runs(hub, "u-14")
    assert ticket not in hub.portal.redeemed


def test_used_ticket_starts_nothing_more(shared_hub):
    hub = shared_hub
    hub.make_user("u-15")
    ticket = hub.portal.issue("u-15", "s-15", grant("start-15", home="u-15"))
    assert hub.launch("u-15", "s-15", ticket).status_code == 201
    assert hub.call("DELETE", "/users/u-15/servers/s-15").status_code == 204

    again = hub.launch("u-15", "s-15", ticket)
    remembered = hub.call("POST", "/users/u-15/servers/s-15")

    assert (again.status_code, "used already" in again.json()["message"]) == (403, True)
    assert (remembered.status_code, "used already" in remembered.json()["message"]) == (403, True)
    assert nothing_runs(hub, "u-15")


def test_ticket_of_somebody_else_or_expired_or_unknown_is_refused(shared_hub):
    hub = shared_hub
    hub.make_user("u-16")
    hub.make_user("u-17")
    theirs = hub.portal.issue("u-17", "s-16", grant("start-16a", home="u-17"))
    other_server = hub.portal.issue("u-16", "s-99", grant("start-16b", home="u-16"))
    expired = hub.portal.issue("u-16", "s-16", grant("start-16c", home="u-16"), valid_s=-1)

    for ticket in (theirs, other_server, expired, "x" * 43):
        assert hub.launch("u-16", "s-16", ticket).status_code == 403
    assert nothing_runs(hub, "u-16")


@pytest.mark.parametrize(
    "answer",
    [
        (500, {"code": "internal"}),
        (200, b"not json"),
        (200, {}),
        (200, grant("start-18", home="../../etc")),
        (200, grant("start-18", environment={"LD_PRELOAD": "/home/u-18/evil.so"})),
        (200, grant("start-18", devices=[{"id": "x", "kind": "nvidia", "paths": ["/dev/sda"]}])),
        (200, grant("start-18", files=[{"path": "../x", "content_base64": ""}])),
        (200, grant("start-18", memory_limit_bytes=0)),
        (204, b""),
        (302, {"code": "elsewhere"}),
    ],
)
def test_answer_that_the_protocol_does_not_know_starts_nothing(shared_hub, answer):
    hub = shared_hub
    hub.make_user("u-18")
    hub.portal.answer_instead = answer
    try:
        status = hub.launch("u-18", "s-18", "t" * 43).status_code
    finally:
        hub.portal.answer_instead = None

    assert status == 503
    assert nothing_runs(hub, "u-18")
    assert not processes_with("AIHUB_SESSION=start-18")


def test_portal_that_is_away_starts_nothing_and_never_ends_the_hub(hub):
    hub.make_user("u-1")
    ticket = hub.portal.issue("u-1", "s-1", grant("away"))
    hub.portal.stop()

    answers = [hub.launch("u-1", "s-1", ticket) for _ in range(8)]

    assert {answer.status_code for answer in answers} == {503}
    assert "nothing was started" in answers[0].json()["message"]
    assert nothing_runs(hub, "u-1")
    hub.portal.start()
    assert hub.launch("u-1", "s-1", ticket).status_code == 201
    assert hub.hub.poll() is None


def test_spawner_itself_refuses_without_a_grant(make_hub):
    hub = make_hub(extra_config="c.Spawner.pre_spawn_hook = None")
    hub.make_user("u-1")

    answer = hub.launch("u-1", "s-1", hub.portal.issue("u-1", "s-1", grant("bare")))

    assert (answer.status_code, "not granted" in answer.json()["message"]) == (403, True)
    assert nothing_runs(hub, "u-1")
    assert not list((hub.state / "logs").iterdir())


def test_files_are_placed_before_the_start_and_never_over_an_existing_one(shared_hub):
    hub = shared_hub
    hub.make_user("u-19")
    files = [{"path": "courses/lab-1.ipynb", "content_base64": "b3Vycw=="}, {"path": "mine.txt", "content_base64": "b3Vycw=="}]
    home = hub.state / "homes/u-19"
    home.mkdir(parents=True, mode=0o700)
    (home / "mine.txt").write_text("theirs")
    ticket = hub.portal.issue("u-19", "s-19", grant("start-19", home="u-19", files=files, open_path="/lab/tree/courses/lab-1.ipynb"))

    assert hub.launch("u-19", "s-19", ticket).status_code == 201

    printed = hub.run_inside(
        "start-19", "import os; print(open('courses/lab-1.ipynb').read(), open('mine.txt').read(), os.getcwd(), os.environ['JUPYTERHUB_DEFAULT_URL'])"
    )
    assert printed == "ours theirs /home/u-19 /lab/tree/courses/lab-1.ipynb\n"
    hub.end("u-19", "s-19")


def test_server_that_ends_at_once_is_reported_at_once(make_hub):
    hub = make_hub(extra_config="c.SessionSpawner.cmd = ['/bin/sh', '-c', 'exit 3']")
    hub.make_user("u-1")

    answer = hub.launch("u-1", "s-1", hub.portal.issue("u-1", "s-1", grant("short")))

    assert (answer.status_code, "ended before it was ready" in answer.json()["message"]) == (503, True)
    exited = wait_for(lambda: hub.portal.of("short", "exited"), what="the end's observation")
    assert exited[0]["exit_code"] == 3


def test_pages_lead_back_to_the_portal_in_three_languages(shared_hub):
    hub = shared_hub
    hub.make_user("u-20")
    browser = hub.sign_in("u-20")

    for path, status in (("/hub/home", 200), ("/user/u-20/s-20/lab", 424), ("/hub/spawn", 403)):
        answer = browser.get(hub.url + path)
        assert answer.status_code == status, path
        assert re.findall(r'<section lang="(\w+)" dir="(\w+)">', answer.text) == [("en", "ltr"), ("fr", "ltr"), ("ar", "rtl")]
        assert answer.text.count(f'href="{hub.portal.url}/"') >= 3
        assert "/hub/spawn" not in answer.text
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    assert browser.get(hub.url + "/hub/logo").content.startswith(b"<svg")
    browser.close()


def test_service_tokens_hold_what_they_need_and_no_more(shared_hub):
    hub = shared_hub
    scopes = set(hub.call("GET", "/user").json()["scopes"])

    assert {"start:servers", "delete:servers", "admin:users", "list:users"} <= scopes
    assert not {"proxy", "shutdown", "access:servers", "admin:servers", "admin:groups", "tokens"} & scopes
    assert hub.call("GET", "/proxy").status_code == 403
    assert hub.call("POST", "/shutdown").status_code == 403
    assert hub.call("GET", "/user", token=ADMIN_TOKEN).status_code == 200
