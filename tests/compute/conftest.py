"""Fixtures of compute: a hub in memory whose hook redeems tickets as the plug-in does, and a clock that tests move."""

from collections.abc import Iterator
from datetime import datetime

import pytest
import time_machine
from sqlalchemy.orm import Session, sessionmaker

from portal.compute.hub_gateway import HubRefused
from portal.compute.operations import tickets
from portal.core import clock
from portal.core.database import transaction
from portal.core.errors import DomainError
from tests.fakes.hub_gateway import FakeHub


@pytest.fixture
def at(now: datetime) -> Iterator[time_machine.Traveller]:
    """Stop the clock at `now`; `at.move_to` moves it."""
    with time_machine.travel(now, tick=False) as traveller:
        yield traveller


@pytest.fixture
def hub(session_maker: sessionmaker[Session]) -> FakeHub:
    """Give a hub that redeems the ticket of every start, and refuses what the portal refuses."""

    def redeem(username: str, server: str, ticket: str) -> None:
        try:
            with transaction(session_maker) as db:
                tickets.redeem(db, token=ticket, username=username, server=server, now=clock.now())
        except DomainError as error:
            raise HubRefused(403, error.code) from error

    return FakeHub(on_start=redeem)
