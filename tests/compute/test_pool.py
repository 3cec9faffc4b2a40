"""Nodes, windows and quotas: what they keep from whom, and what goes on all the same."""

import threading
from datetime import datetime, timedelta

import pytest
from sqlalchemy import func, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, sessionmaker

from portal.compute import queries
from portal.compute.models import Device, DeviceHold, Node, Quota
from portal.compute.operations import nodes, pool, quotas, sessions, starts, windows
from portal.compute.operations.nodes import FAILED_STARTS_MAX, NotSetAside
from portal.compute.operations.quotas import KeptForOthers, PersonQuotaReached, ProjectQuotaReached, TooMuchGuaranteed, WrongAmounts
from portal.compute.operations.waiting import NoMachine, WindowAhead
from portal.compute.operations.windows import NothingChosen, WindowThere, WrongWindow
from portal.compute.queries.quotas import Limit, QuotaStanding, quota_standing
from portal.compute.states import NODE, Failure, NodeState, QuotaScope, StopCause, WindowKind
from portal.core.audit import AuditEvent
from portal.core.errors import NotFound
from portal.core.ids import new_id
from portal.core.states import WrongState
from portal.projects import relations
from tests.factories import compute as make

HOUR = timedelta(hours=1)


def slug_of(db: Session, by: make.Spender) -> str:
    return str(db.execute(select(relations.project.c.slug).where(relations.project.c.id == by.project_id)).scalar_one())


def letters(db: Session) -> int:
    return int(db.execute(text("SELECT count(*) FROM message WHERE kind = 'compute.window_ahead'")).scalar_one())


def maintain(db: Session, now: datetime, *, starts_at: datetime, length: timedelta = HOUR, node: str = "local") -> None:
    windows.plan(
        db,
        kind=WindowKind.MAINTENANCE,
        node=node,
        device_class=None,
        project=None,
        starts_at=starts_at,
        ends_at=starts_at + length,
        note="New fans",
        by=make.TESTS,
        now=now,
    )


def set_type(db: Session, now: datetime, kind: WindowKind, *, starts_at: datetime, device_class: str = pool.SLICE_10, project: str | None = None) -> None:
    ends_at = starts_at + HOUR
    windows.plan(
        db, kind=kind, node=None, device_class=device_class, project=project, starts_at=starts_at, ends_at=ends_at, note="Demo", by=make.TESTS, now=now
    )


def set_quota(db: Session, now: datetime, *, project: str | None = None, scope: QuotaScope = QuotaScope.PROJECT, g: int = 0, b: int = 0, lend: int = 0) -> None:
    quotas.set_quota(db, device_class=pool.SLICE_10, scope=scope, project=project, guaranteed=g, borrowable=b, lendable=lend, by=make.TESTS, now=now)


@pytest.mark.parametrize("name", list(NODE.transitions))
@pytest.mark.parametrize("state", list(NodeState))
def test_node_steps_leave_only_from_their_sources(name: str, state: NodeState) -> None:
    if state in NODE.transitions[name].sources:
        assert NODE.target(name, state) is NODE.transitions[name].target
    else:
        with pytest.raises(WrongState):
            NODE.target(name, state)


def test_draining_node_starts_nothing_new_and_lets_sessions_run(db: Session, now: datetime) -> None:
    ada, ben = make.spender(db, now=now), make.spender(db, now=now)
    session_id, _ = make.running(db, ada, now=now)

    nodes.change(db, name="local", step="drain", by=make.TESTS, now=now)

    with pytest.raises(NoMachine), db.begin_nested():
        make.requested(db, ben, now=now)
    assert make.row_of(db, session_id).state == "running"
    assert {offer.total for offer in queries.offers(db, now=now)} == {0}
    nodes.change(db, name="local", step="reopen", by=make.TESTS, now=now)
    make.requested(db, ben, now=now)


def test_retired_node_never_opens_again(db: Session, now: datetime) -> None:
    make.small_pool(db, now=now)
    nodes.change(db, name="local", step="retire", by=make.TESTS, now=now)

    with pytest.raises(WrongState):
        nodes.change(db, name="local", step="reopen", by=make.TESTS, now=now)
    with pytest.raises(NotFound):
        nodes.change(db, name="elsewhere", step="drain", by=make.TESTS, now=now)


def test_database_holds_open_and_state_of_a_node_together(db: Session, now: datetime) -> None:
    make.small_pool(db, now=now)

    with pytest.raises(IntegrityError), db.begin_nested():
        db.execute(update(Node).values(state="draining"))


def test_gpu_is_open_either_whole_or_as_slices(db: Session, now: datetime) -> None:
    make.small_pool(db, now=now, full=1)
    whole = Device.name == "sim-80-0"
    db.execute(update(Device).where(whole).values(is_open=False))
    db.execute(update(Device).where(Device.name == "sim-10-0").values(is_slice=True, board="sim-80-0"))

    with pytest.raises(IntegrityError), db.begin_nested():
        db.execute(update(Device).where(whole).values(is_open=True))


def fail_start(db: Session, by: make.Spender, now: datetime) -> None:
    session_id = make.requested(db, by, now=now, profile="h100-full")
    make.launched(db, session_id, now=now)
    starts.give_up(db, session_id=session_id, failure=Failure.DID_NOT_START, by=make.TESTS, now=now)


def test_device_that_fails_for_several_people_in_a_row_is_set_aside_and_reopened(db: Session, now: datetime) -> None:
    for _ in range(FAILED_STARTS_MAX):
        fail_start(db, make.spender(db, now=now), now)

    device = db.execute(select(Device).where(Device.name == "sim-80-0")).scalar_one()
    assert (device.is_open, device.set_aside_at, device.failed_starts) == (False, now, FAILED_STARTS_MAX)
    assert db.execute(select(func.count()).select_from(AuditEvent).where(AuditEvent.action == "set aside")).scalar_one() == 1
    with pytest.raises(NoMachine), db.begin_nested():
        make.requested(db, make.spender(db, now=now), now=now, profile="h100-full")
    nodes.reopen_device(db, name=device.name, by=make.TESTS, now=now)
    with pytest.raises(NotSetAside):
        nodes.reopen_device(db, name=device.name, by=make.TESTS, now=now)
    make.requested(db, make.spender(db, now=now), now=now, profile="h100-full")


def test_failures_of_one_person_alone_set_no_device_aside(db: Session, now: datetime) -> None:
    ada = make.spender(db, now=now)
    for _ in range(FAILED_STARTS_MAX + 1):
        fail_start(db, ada, now)

    assert db.execute(select(Device.failed_starts, Device.is_open).where(Device.name == "sim-80-0")).one() == (1, True)


def test_start_that_succeeds_lets_failures_count_anew(db: Session, now: datetime) -> None:
    for _ in range(FAILED_STARTS_MAX - 1):
        fail_start(db, make.spender(db, now=now), now)
    session_id, _ = make.running(db, make.spender(db, now=now), now=now, profile="h100-full")
    assert make.row_of(db, session_id).state == "running"

    assert db.execute(select(Device.failed_starts).where(Device.name == "sim-80-0")).scalar_one() == 0


@pytest.mark.parametrize(("minutes", "is_refused"), [(62, True), (63, False)])
def test_session_starts_only_where_it_surely_ends_before_the_maintenance(db: Session, now: datetime, minutes: int, is_refused: bool) -> None:
    ada = make.spender(db, now=now)
    make.small_pool(db, now=now)
    maintain(db, now, starts_at=now + timedelta(minutes=minutes))

    free = {offer.slug: offer.free for offer in queries.offers(db, now=now, for_s=3600)}
    assert free["h100-slice-10"] == (0 if is_refused else 2)
    if is_refused:
        with pytest.raises(WindowAhead):
            make.requested(db, ada, now=now)
    else:
        make.requested(db, ada, now=now)


def test_maintenance_keeps_nothing_from_other_nodes_nor_after_it_is_cancelled(db: Session, now: datetime) -> None:
    make.small_pool(db, now=now)
    db.add(Node(name="other", engine="local", registered_at=now, id=new_id()))
    db.flush()
    maintain(db, now, starts_at=now + timedelta(minutes=30), node="other")
    make.requested(db, make.spender(db, now=now), now=now)
    maintain(db, now, starts_at=now + timedelta(minutes=30))
    number = db.execute(text("SELECT max(number) FROM pool_window")).scalar_one()

    windows.cancel(db, number=number, by=make.TESTS, now=now)

    make.requested(db, make.spender(db, now=now), now=now)


def test_people_whose_sessions_reach_in_are_told(db: Session, now: datetime) -> None:
    make.running(db, make.spender(db, now=now), now=now, duration_s=2 * 3600)
    make.running(db, make.spender(db, now=now), now=now, duration_s=3600)

    maintain(db, now, starts_at=now + timedelta(minutes=90))

    assert letters(db) == 1


def test_windows_of_one_node_never_overlap(db: Session, now: datetime) -> None:
    make.small_pool(db, now=now)
    maintain(db, now, starts_at=now + HOUR)

    with pytest.raises(WindowThere):
        maintain(db, now, starts_at=now + HOUR / 2)
    maintain(db, now, starts_at=now + 2 * HOUR)
    with pytest.raises(WrongWindow):
        maintain(db, now, starts_at=now - 2 * HOUR)
    with pytest.raises(NothingChosen):
        maintain(db, now, starts_at=now + 9 * HOUR, node="elsewhere")
    with pytest.raises(IntegrityError), db.begin_nested():
        db.execute(text("UPDATE pool_window SET starts_at = starts_at - interval '2 hours', ends_at = ends_at + interval '2 hours'"))


def test_closed_type_takes_nobody_and_others_stay_open(db: Session, now: datetime) -> None:
    ada = make.spender(db, now=now)
    make.small_pool(db, now=now)
    set_type(db, now, WindowKind.CLOSED, starts_at=now - HOUR / 2)

    with pytest.raises(WindowAhead), db.begin_nested():
        make.requested(db, ada, now=now)
    make.requested(db, ada, now=now, profile="cpu-notebook")
    make.requested(db, ada, now=now + HOUR)


def test_reserved_type_takes_its_project_alone(db: Session, now: datetime) -> None:
    ada, ben = make.spender(db, now=now), make.spender(db, now=now)
    make.small_pool(db, now=now)
    set_type(db, now, WindowKind.RESERVED, starts_at=now, project=slug_of(db, ada))

    with pytest.raises(WindowAhead), db.begin_nested():
        make.requested(db, ben, now=now)
    make.requested(db, ada, now=now)


def test_project_at_its_quota_is_told_who_uses_it(db: Session, now: datetime) -> None:
    ada = make.spender(db, now=now)
    make.small_pool(db, now=now, slices=3)
    set_quota(db, now, project=slug_of(db, ada), g=1, b=0)
    first = make.requested(db, ada, now=now)

    with pytest.raises(ProjectQuotaReached) as refusal, db.begin_nested():
        make.requested(db, ada, now=now)

    assert refusal.value.params == {"most": 1, "who": f"{ada.person.display_name} (1)"}
    sessions.stop(db, session_id=first, by=ada.actor, now=now, cause=StopCause.PERSON)
    make.requested(db, ada, now=now)


def test_default_quota_of_a_person_counts_over_projects(db: Session, now: datetime) -> None:
    ada = make.spender(db, now=now)
    make.small_pool(db, now=now, slices=3)
    set_quota(db, now, scope=QuotaScope.PERSON, b=1)
    make.requested(db, ada, now=now)

    with pytest.raises(PersonQuotaReached), db.begin_nested():
        make.requested(db, ada, now=now)
    make.requested(db, make.spender(db, now=now), now=now)


def test_guaranteed_devices_are_kept_and_lent_ones_are_not(db: Session, now: datetime) -> None:
    ada, ben = make.spender(db, now=now), make.spender(db, now=now)
    make.small_pool(db, now=now, slices=2)
    set_quota(db, now, project=slug_of(db, ada), g=2, lend=1)
    make.requested(db, ben, now=now)

    with pytest.raises(KeptForOthers), db.begin_nested():
        make.requested(db, ben, now=now)
    make.requested(db, ada, now=now)
    waits = make.requested(db, ben, now=now)
    assert make.row_of(db, waits).state == "queued"


def test_amounts_that_cannot_hold_are_refused(db: Session, now: datetime) -> None:
    ada, ben = make.spender(db, now=now), make.spender(db, now=now)
    make.small_pool(db, now=now, slices=2)
    set_quota(db, now, project=slug_of(db, ada), g=1)

    with pytest.raises(TooMuchGuaranteed):
        set_quota(db, now, project=slug_of(db, ben), g=2)
    with pytest.raises(WrongAmounts):
        set_quota(db, now, project=slug_of(db, ben), g=1, lend=2)
    with pytest.raises(WrongAmounts):
        set_quota(db, now, g=1)
    set_quota(db, now, project=slug_of(db, ada), g=2)
    assert db.execute(select(func.count()).select_from(Quota)).scalar_one() == 1


@pytest.mark.parametrize(
    ("project", "person", "kept", "used", "room"),
    [
        (None, None, 0, 4, 6),
        (None, None, 3, 4, 3),
        (None, Limit(0, 2, 0, 1), 0, 4, 1),
        (Limit(3, 0, 0, 1), None, 6, 1, 2),
        (Limit(3, 2, 0, 1), None, 0, 1, 4),
        (Limit(3, 9, 0, 4), None, 4, 4, 2),
        (Limit(1, 0, 0, 3), None, 0, 3, 0),
    ],
)
def test_room_is_what_is_guaranteed_and_what_may_be_borrowed(project: Limit | None, person: Limit | None, kept: int, used: int, room: int) -> None:
    assert QuotaStanding(total=10, used=used, kept=kept, project=project, person=person).room == room


def test_two_at_once_never_go_beyond_a_quota(own_sessions: sessionmaker[Session], now: datetime) -> None:
    with own_sessions.begin() as db:
        make.small_pool(db, now=now, slices=4)
        ada = make.spender(db, now=now)
        set_quota(db, now, project=slug_of(db, ada), g=1)
    refused: list[str] = []

    def go() -> None:
        try:
            with own_sessions.begin() as db:
                sessions.request(db, project_id=ada.project_id, profile_slug="h100-slice-10", duration_s=3600, label="", by=ada.actor, now=now)
        except ProjectQuotaReached as error:
            refused.append(error.code)

    threads = [threading.Thread(target=go) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    with own_sessions.begin() as db:
        assert db.execute(select(func.count()).select_from(DeviceHold)).scalar_one() == 1
        assert quota_standing(db, pool.SLICE_10, project_id=ada.project_id, person_id=ada.person.id).room == 0
    assert refused == ["project_quota_reached"] * 3
