"""The gateway: one set of checks for a real hub and for the tests' fake, and the transport's troubles."""

import time
from collections.abc import Callable

import httpx
import pytest

from portal.compute.hub_gateway import PAGINATED, Hub, HubAway, HubGateway, HubRefused, HubServer, Progress
from tests.fakes.hub_gateway import FakeHub
from tests.hub_plugin.conftest import make_hub, portal
from tests.hub_plugin.fake_portal import grant
from tests.hub_plugin.running_hub import SERVICE_TOKEN

__all__ = ["make_hub", "portal"]


def wait_for(look: Callable[[], object]) -> None:
    """Wait until a look is true, half a minute at most."""
    deadline = time.monotonic() + 30
    while not look():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.1)


def check_contract(hub: Hub, issue: Callable[[str, str], str], take_away: Callable[[], None]) -> None:
    """Check what the jobs rely on."""
    hub.ensure_user("u-1")
    hub.ensure_user("u-1")
    assert hub.servers() == []
    assert hub.server("u-1", "s-1") is None
    assert hub.server("u-2", "s-1") is None

    with pytest.raises(HubRefused):
        hub.start("u-1", "s-0", ticket="A" * 43)
    assert hub.server("u-1", "s-0") is None

    assert hub.start("u-1", "s-1", ticket=issue("u-1", "s-1")) in set(Progress)
    wait_for(lambda: (found := hub.server("u-1", "s-1")) is not None and found.is_ready)
    assert hub.servers() == [HubServer("u-1", "s-1", is_ready=True)]
    assert hub.start("u-1", "s-1", ticket="A" * 43) is Progress.PENDING

    assert hub.stop("u-1", "s-1") in set(Progress)
    wait_for(lambda: hub.server("u-1", "s-1") is None)
    wait_for(lambda: hub.stop("u-1", "s-1") is Progress.DONE)
    assert hub.stop("u-1", "s-77") is Progress.DONE
    assert hub.servers() == []

    take_away()
    for call in (
        lambda: hub.ensure_user("u-1"),
        lambda: hub.start("u-1", "s-2", ticket="A" * 43),
        lambda: hub.stop("u-1", "s-2"),
        hub.servers,
        lambda: hub.server("u-1", "s-2"),
    ):
        with pytest.raises(HubAway):
            call()


def test_the_fake_keeps_the_contract() -> None:
    good: set[tuple[str, str, str]] = set()

    def redeem(username: str, server: str, ticket: str) -> None:
        if (username, server, ticket) not in good:
            raise HubRefused(403, "ticket_unknown")

    def issue(username: str, server: str) -> str:
        good.add((username, server, "B" * 43))
        return "B" * 43

    fake = FakeHub(on_start=redeem, slow_for=2)
    check_contract(fake, issue, lambda: setattr(fake, "is_away", True))


@pytest.mark.hub
@pytest.mark.slow
def test_a_real_hub_keeps_the_contract(make_hub, portal) -> None:
    running = make_hub()
    gateway = HubGateway(running.api, SERVICE_TOKEN)

    check_contract(gateway, lambda username, server: portal.issue(username, server, grant("0199-contract", home=username)), running.kill_hub)


def gateway(answer: Callable[[httpx.Request], httpx.Response]) -> HubGateway:
    return HubGateway("http://hub.test/hub/api", "secret-token", httpx.Client(transport=httpx.MockTransport(answer)))


@pytest.mark.parametrize("error", [httpx.ConnectError("refused"), httpx.ReadTimeout("slow"), httpx.RemoteProtocolError("cut")])
def test_troubles_of_the_wire_are_a_hub_that_is_away(error: httpx.HTTPError) -> None:
    def fail(request: httpx.Request) -> httpx.Response:
        raise error

    with pytest.raises(HubAway):
        gateway(fail).servers()


@pytest.mark.parametrize(
    "answer",
    [httpx.Response(200, text="<html>"), httpx.Response(200, json=[]), httpx.Response(200, json={"items": []}), httpx.Response(502), httpx.Response(504)],
)
def test_answers_that_are_not_the_hubs_are_a_hub_that_is_away(answer: httpx.Response) -> None:
    with pytest.raises(HubAway):
        gateway(lambda request: answer).servers()


@pytest.mark.parametrize("status", [401, 403, 404, 500, 503])
def test_a_no_is_a_no_with_its_message(status: int) -> None:
    with pytest.raises(HubRefused) as refused:
        gateway(lambda request: httpx.Response(status, json={"message": "no room"})).start("u-1", "s-1", ticket="t")

    assert (refused.value.status, refused.value.message) == (status, "no room")


def test_all_pages_are_read_and_the_token_is_sent() -> None:
    seen: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        assert request.headers["Authorization"] == "token secret-token"
        assert request.headers["Accept"] == PAGINATED
        offset = int(request.url.params["offset"])
        seen.append(str(offset))
        users = [{"name": f"u-{n}", "servers": {f"s-{n}": {"ready": True, "pending": None}}} for n in range(offset, offset + 200)]
        following = {"offset": offset + 200} if offset < 400 else None
        return httpx.Response(200, json={"items": users, "_pagination": {"next": following}})

    assert len(gateway(answer).servers()) == 600
    assert seen == ["0", "200", "400"]


def test_the_token_is_not_in_the_gateways_words() -> None:
    assert "secret-token" not in repr(gateway(lambda request: httpx.Response(200)))


def test_names_are_parts_of_a_path_and_nothing_more() -> None:
    paths: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        paths.append(request.url.raw_path.decode())
        return httpx.Response(204)

    gateway(answer).stop("../u-1", "s/1?x")

    assert paths == ["/hub/api/users/..%2Fu-1/servers/s%2F1%3Fx"]
