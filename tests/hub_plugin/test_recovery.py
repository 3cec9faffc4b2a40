"""Hub and portal may go at any moment: sessions live on, every second is accounted for, nothing is left behind."""

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from urllib.parse import urlsplit

import pytest

from tests.hub_plugin.fake_portal import grant
from tests.hub_plugin.running_hub import wait_for
from tests.hub_plugin.witness import Witness, observed_seconds, processes_with

pytestmark = pytest.mark.hub


def started(hub, session_id, server="s-1", **changes):
    hub.make_user("u-1")
    answer = hub.launch("u-1", server, hub.portal.issue("u-1", server, grant(session_id, environment={"AIHUB_SESSION": session_id}, **changes)))
    assert answer.status_code == 201, answer.text


def reachable_through_proxy(hub, token, server="s-1"):
    answer = hub.client.get(f"{hub.url}/user/u-1/{server}/api", headers={"Authorization": f"token {token}"})
    return answer.status_code == 200 and answer.json()["version"] == "stub"


def test_hub_killed_and_restarted_keeps_the_same_process(hub):
    with Witness("AIHUB_SESSION=kept") as witness:
        started(hub, "kept")
        token = hub.user_token("u-1")
        before = hub.record("kept").process
        pids = processes_with("AIHUB_SESSION=kept")
        wait_for(lambda: hub.portal.of("kept", "seen"), what="a look")

        hub.kill_hub()
        assert reachable_through_proxy(hub, token), "the proxy goes on without the hub"
        time.sleep(1)
        count = len(hub.portal.of("kept"))
        hub.start_hub()

        wait_for(lambda: hub.is_ready("u-1", "s-1"), what="the server's return")
        assert processes_with("AIHUB_SESSION=kept") == pids
        assert hub.record("kept").process == before
        assert reachable_through_proxy(hub, token)
        wait_for(lambda: len(hub.portal.of("kept")) > count, 10, "a look right after the restart")
        assert hub.end("u-1", "s-1").status_code == 204
        wait_for(lambda: hub.portal.of("kept", "exited"), what="the end's observation")
    observations = hub.portal.of("kept")
    identities = {(observation["boot_id"], observation["pid"], observation["process_started_ticks"]) for observation in observations}
    assert len(identities) == 1
    assert [observation["kind"] for observation in observations].count("started") == 1
    assert all(earlier["monotonic_ns"] <= later["monotonic_ns"] for earlier, later in pairwise(observations))
    assert abs(observed_seconds(observations) - witness.seconds) < 1.0
    assert processes_with("AIHUB_SESSION=kept") == []


def test_end_while_the_hub_is_away_is_known_to_the_instant(hub):
    with Witness("AIHUB_SESSION=away") as witness:
        started(hub, "away")
        hub.run_inside("away", "import os, threading; threading.Timer(1.5, os._exit, [9]).start()")
        hub.kill_hub()
        wait_for(lambda: not processes_with("AIHUB_SESSION=away"), what="the session's end")
        time.sleep(2)
        hub.start_hub()
        exited = wait_for(lambda: hub.portal.of("away", "exited"), what="the end's observation")

    assert exited[0]["exit_code"] == 9
    assert abs(observed_seconds(hub.portal.of("away")) - witness.seconds) < 1.0
    wait_for(lambda: not hub.is_ready("u-1", "s-1"), what="the hub's notice")
    assert hub.record("away") is None


def test_end_that_nobody_saw_is_dated_to_the_last_look(hub):
    started(hub, "unseen")
    wait_for(lambda: len(hub.portal.of("unseen", "seen")) >= 1, what="a look")
    hub.kill_hub()
    top = hub.record("unseen").process.pid
    os.kill(top, signal.SIGKILL)
    time.sleep(2)
    assert processes_with("AIHUB_SESSION=unseen") == [], "the kernel ends the sandbox with its parent"
    hub.start_hub()

    exited = wait_for(lambda: hub.portal.of("unseen", "exited"), what="the end's observation")[0]
    last_seen = hub.portal.of("unseen", "seen")[-1]
    assert (exited["monotonic_ns"], exited["exit_code"]) == (last_seen["monotonic_ns"], None)


@pytest.mark.parametrize("moment", ["gate", "record", "running"])
def test_hub_killed_in_the_middle_of_a_start_leaves_no_unknown_process(hub, moment):
    hub.make_user("u-1")
    ticket = hub.portal.issue("u-1", "s-1", grant("middle", environment={"AIHUB_SESSION": "middle"}))
    launch = subprocess.Popen(
        [sys.executable, "-c", "import httpx, sys; httpx.post(sys.argv[1], headers={'Authorization': 'token ' + sys.argv[2]}, json={'user_options': {'ticket': sys.argv[3]}})",
         f"{hub.api}/users/u-1/servers/s-1", hub.environment["HUB_SERVICE_TOKEN"], ticket],
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    seen = {
        "gate": lambda: processes_with("AIHUB_SESSION=middle"),
        "record": lambda: list((hub.state / "sessions").glob("middle*.session")),
        # The top process, the sandbox and the server in it.
        "running": lambda: len(processes_with("AIHUB_SESSION=middle")) >= 3,
    }
    wait_for(seen[moment], what=moment)
    hub.kill_hub()
    launch.wait()
    time.sleep(0.5)
    alive = processes_with("AIHUB_SESSION=middle")
    was_recorded = hub.record("middle") is not None
    assert bool(alive) <= was_recorded, "what runs is on record"

    hub.start_hub()

    if not was_recorded:
        # Killed before the record: the gate never opened, nothing ran, and there is nothing to tell.
        assert moment == "gate"
        assert hub.portal.of("middle") == []
        return
    if alive:
        wait_for(lambda: hub.is_ready("u-1", "s-1"), what="the adoption")
        assert hub.end("u-1", "s-1").status_code in {202, 204}
    wait_for(lambda: hub.portal.of("middle", "exited"), what="the end's observation")
    wait_for(lambda: not processes_with("AIHUB_SESSION=middle"), what="the end")
    assert hub.record("middle") is None
    # Killed between the record and the first observation, with the gate shut: the end alone is told, and nothing ran.
    assert len(hub.portal.of("middle", "started")) == 1 or not alive
    assert len(hub.portal.of("middle", "started")) <= 1


def test_session_unknown_to_the_hubs_database_is_stopped(make_hub, postgres):
    hub = make_hub(interval_s=0.5)
    started(hub, "orphan")
    hub.kill_hub()
    database = urlsplit(hub.environment["HUB_DATABASE_URL"]).path.removeprefix("/")
    postgres.drop_database(database)
    postgres.ensure_database(database)
    hub.start_hub()

    exited = wait_for(lambda: hub.portal.of("orphan", "exited"), what="the end's observation")
    assert exited[0]["exit_code"] == 143
    assert processes_with("AIHUB_SESSION=orphan") == []
    assert "the hub has no server for it" in hub.log()


def test_observations_wait_for_the_portal_and_arrive_once_in_order(hub):
    started(hub, "waiting")
    wait_for(lambda: hub.portal.of("waiting", "seen"), what="a look")
    hub.portal.stop()
    time.sleep(3)
    assert hub.end("u-1", "s-1").status_code == 204, "a session can be ended without the portal"
    hub.kill_hub()
    hub.start_hub()
    hub.portal.start()

    wait_for(lambda: hub.portal.of("waiting", "exited"), 20, "the delivery")
    wait_for(
        lambda: json.loads((hub.state / "spool/acknowledged").read_text())["offset"] == max(offset for _, offset in hub.portal.observations),
        what="the note of it",
    )
    offsets = sorted(offset for _, offset in hub.portal.observations)
    assert offsets == list(range(1, len(offsets) + 1))
    assert len({agent for agent, _ in hub.portal.observations}) == 1
    assert len(hub.portal.of("waiting", "seen")) >= 3


def test_portal_that_lost_its_newest_rows_gets_them_again(hub):
    started(hub, "restored")
    wait_for(lambda: len(hub.portal.of("restored")) >= 4, what="some looks")
    with hub.portal.lock:
        kept = sorted(hub.portal.observations)[:1]
        lost = {key: hub.portal.observations.pop(key) for key in sorted(hub.portal.observations) if key not in kept}
    hub.portal.answer_instead = (200, {"acknowledged_offset": 1, "leases": {}})
    wait_for(lambda: json.loads((hub.state / "spool/acknowledged").read_text())["offset"] == 1, what="the rewinding")
    hub.portal.answer_instead = None

    wait_for(lambda: set(lost) <= set(hub.portal.observations), 15, "the second delivery")
    assert {key: hub.portal.observations[key] for key in lost} == lost


def test_lease_that_says_stop_ends_the_session(hub):
    started(hub, "leased")
    hub.portal.stop_sessions.add("leased")

    wait_for(lambda: hub.portal.of("leased", "exited"), 20, "the end")
    wait_for(lambda: not hub.is_ready("u-1", "s-1"), 10, "the hub's notice")
    assert processes_with("AIHUB_SESSION=leased") == []


def test_session_ends_itself_when_it_has_run_too_long_past_what_is_paid(make_hub, portal):
    from datetime import UTC, datetime, timedelta

    from tests.hub_plugin.fake_portal import instant

    hub = make_hub(overrun_s=2.0, interval_s=0.5)
    portal.lease_minutes = 5
    started(hub, "renewed", "s-1", held_until=instant(datetime.now(UTC)))
    wait_for(lambda: hub.portal.of("renewed", "seen"), what="a look, whose answer renews the lease")
    hub.portal.stop()
    started_at = time.monotonic()
    hub.portal.start()
    portal.lease_minutes = 0
    started(hub, "unpaid", "s-2", held_until=instant(datetime.now(UTC) + timedelta(seconds=1)))
    time.sleep(0.7)
    hub.portal.stop()

    wait_for(lambda: not processes_with("AIHUB_SESSION=unpaid"), 15, "the end without the portal's word")
    assert time.monotonic() - started_at > 2
    assert "too long past what is paid" in hub.log()
    hub.portal.start()
    wait_for(lambda: hub.portal.of("unpaid", "exited"), 20, "the delivery")


def test_second_hub_on_the_same_state_does_not_start(hub):
    ports = {"HUB_BIND": "127.0.0.1:1"}
    done = subprocess.run(
        [sys.executable, "-m", "jupyterhub", "-f", str(hub.config)],
        env=hub.environment | ports,
        cwd=hub.folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 1
    assert "another hub uses" in done.stderr
    assert hub.call("GET", "/").status_code == 200


def test_hub_says_what_is_wrong_with_its_environment(hub):
    environment = {name: value for name, value in hub.environment.items() if name not in {"HUB_PLUGIN_KEY", "HUB_URL"}}
    done = subprocess.run(
        [sys.executable, "-m", "jupyterhub", "-f", str(hub.config)], env=environment, cwd=hub.folder, capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode != 0
    assert "HUB_PLUGIN_KEY is not set: it is a secret of at least 32 characters" in done.stderr
    assert "HUB_URL is not set" in done.stderr


def test_sign_in_lasts_while_the_portal_is_away_and_ends_when_it_says_no(hub):
    hub.make_user("u-1")
    browser = hub.sign_in("u-1")
    time.sleep(1.1)

    hub.portal.stop()
    assert browser.get(f"{hub.url}/hub/home").status_code == 200
    hub.portal.start()
    time.sleep(1.1)
    assert browser.get(f"{hub.url}/hub/home").status_code == 200
    hub.portal.is_sign_in_refused = True
    # An answer of the portal's holds for a moment.
    time.sleep(6.5)
    answer = browser.get(f"{hub.url}/hub/home")

    assert answer.status_code == 403
    assert answer.url.host == "127.0.0.1", "the browser was sent to the portal, which refused"
    browser.close()


def test_sign_out_ends_at_the_portal_and_leaves_the_session_running(hub):
    started(hub, "signed-out")
    browser = hub.sign_in("u-1")

    answer = browser.get(f"{hub.url}/hub/logout")

    assert str(answer.url) == f"{hub.portal.url}/oauth/end-session"
    assert hub.is_ready("u-1", "s-1")
    browser.close()


def test_expired_sign_in_is_renewed_once_for_many_requests_at_once(hub):
    hub.make_user("u-1")
    browser = hub.sign_in("u-1")
    sign_ins = hub.portal.sign_ins
    for round_number in (1, 2):
        time.sleep(5.5)
        hub.portal.tokens.clear()

        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: browser.get(f"{hub.url}/hub/home").status_code, range(8)))

        assert answers == [200] * 8
        assert (hub.portal.refreshed, hub.portal.stolen, hub.portal.sign_ins) == (round_number, [], sign_ins)
    browser.close()
