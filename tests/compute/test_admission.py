"""The admission decision: in order, never more than there is, nobody ahead delayed by somebody behind, nobody starved."""

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portal.compute.rules import admission
from portal.compute.rules.admission import Busy, Decision, Request, decide, delay_s, fits_now_for_s, in_order
from portal.compute.simulator import BadTrace, Row, read, replay

REQUESTS = st.lists(st.tuples(st.integers(1, 4), st.integers(1, 50), st.integers(0, 30), st.sampled_from("abc")), max_size=8)
BUSY = st.lists(st.tuples(st.integers(1, 3), st.integers(-5, 60)), max_size=5)


def requests(given_: list[tuple[int, int, int, str]]) -> list[Request]:
    return [Request(number, project, asked, rank, gpus) for number, (gpus, asked, rank, project) in enumerate(given_)]


def held(given_: list[tuple[int, int]], capacity: int) -> list[Busy]:
    """Return who is busy, as many as fit."""
    found: list[Busy] = []
    for number, (gpus, ends_at) in enumerate(given_):
        if sum(one.gpus for one in found) + gpus <= capacity:
            found.append(Busy(f"busy-{number}", ends_at, gpus))
    return found


def free_at(capacity: int, busy: list[Busy], at: int) -> int:
    return capacity - sum(one.gpus for one in busy if max(one.ends_at, 1) > at)


def earliest(capacity: int, busy: list[Busy], gpus: int) -> int:
    """Return when devices are surely free, by trying every instant."""
    return next(at for at in range(200) if free_at(capacity, busy, at) >= gpus)


def allowed(capacity: int, busy: list[Busy], chosen: tuple[Request, ...], order: list[Request]) -> bool:
    """Return whether starting these now is within capacity and delays nobody who is ahead of somebody chosen, by trying."""
    if sum(one.gpus for one in chosen) > free_at(capacity, busy, 0):
        return False
    running = list(busy)
    for place, one in enumerate(order):
        if one in chosen:
            running.append(Busy(one.id, one.asked_s, one.gpus))
        elif one.gpus <= capacity:
            before = earliest(capacity, running, one.gpus)
            behind = [Busy(other.id, other.asked_s, other.gpus) for other in order[place:] if other in chosen]
            return earliest(capacity, running + behind, one.gpus) == before
    return True


@settings(max_examples=400, deadline=None)
@given(capacity=st.integers(1, 6), waiting=REQUESTS, busy=BUSY)
def test_the_decision_is_the_best_of_all_that_delay_nobody_ahead(capacity: int, waiting: list, busy: list) -> None:
    """Against every subset: nobody more could start, and of two choices the one that serves whoever is ahead is taken."""
    order, running = in_order(requests(waiting)), held(busy, capacity)
    found = decide(capacity, running, order, now=0)
    fitting = [one for one in order if one.gpus <= capacity]
    assert list(found.too_large) == [one for one in order if one.gpus > capacity]
    assert allowed(capacity, running, tuple(found.starts), fitting)
    best = max(
        (chosen for size in range(len(fitting) + 1) for chosen in combinations(fitting, size) if allowed(capacity, running, chosen, fitting)),
        key=lambda chosen: [one in chosen for one in fitting],
    )
    assert [one in best for one in fitting] == [one in found.starts for one in fitting]


@settings(max_examples=200, deadline=None)
@given(capacity=st.integers(1, 5), waiting=REQUESTS, busy=BUSY)
def test_the_same_question_has_the_same_answer_in_any_order(capacity: int, waiting: list, busy: list) -> None:
    rows, running = requests(waiting), held(busy, capacity)
    assert decide(capacity, running, rows, now=0) == decide(capacity, running[::-1], rows[::-1], now=0)


TRACES = st.lists(
    st.tuples(
        st.integers(0, 2_592_000), st.sampled_from("abcd"), st.sampled_from(["slice", "full"]), st.integers(1, 5), st.integers(1, 90_000), st.floats(0, 1)
    ),
    max_size=60,
)


@settings(max_examples=1000, deadline=None)
@given(rows=TRACES, capacity=st.fixed_dictionaries({"slice": st.integers(1, 6), "full": st.integers(1, 4)}))
def test_a_thousand_random_months_never_give_a_device_twice(rows: list, capacity: dict[str, int]) -> None:
    trace = sorted(
        (Row(number, at, project, profile, gpus, asked, int(asked * used)) for number, (at, project, profile, gpus, asked, used) in enumerate(rows)),
        key=lambda row: (row.submitted_s, row.number),
    )
    found = replay(trace, capacity)
    assert len(found.outcomes) + len(found.refused) == len(trace), "everybody who fits starts in the end"
    assert all(row.gpus > capacity[row.profile] for row in found.refused)
    for profile, devices in capacity.items():
        changes = []
        for one in found.outcomes:
            if one.row.profile == profile:
                assert one.started_s >= one.row.submitted_s
                changes += [(one.started_s, 1, one.row.gpus), (one.started_s + one.row.used_s, 0, -one.row.gpus)]
        in_use = 0
        for _, _, change in sorted(changes):
            in_use += change
            assert in_use <= devices


@settings(max_examples=150, deadline=None)
@given(rows=TRACES, capacity=st.integers(1, 4))
def test_nobody_is_overtaken_by_whoever_comes_much_later(rows: list, capacity: int) -> None:
    """Starvation: all whole-pool requests; whoever came more than the greatest delay later starts later."""
    trace = [Row(number, at, project, "full", capacity, asked, asked) for number, (at, project, _, _, asked, _) in enumerate(sorted(rows))]
    outcomes = replay(trace, {"full": capacity}).outcomes
    for one in outcomes:
        for other in outcomes:
            if other.row.submitted_s > one.row.submitted_s + admission.MOST_DELAY_S:
                assert other.started_s >= one.started_s


@settings(max_examples=60, deadline=None)
@given(gap_s=st.integers(5, 400), asked=st.lists(st.integers(60, 7200), min_size=20, max_size=60), at=st.integers(0, 4000), capacity=st.integers(2, 5))
def test_a_request_for_the_whole_pool_is_not_starved_by_a_stream_of_small_ones(gap_s: int, asked: list[int], at: int, capacity: int) -> None:
    """Small ones slip in before its reservation, but nobody makes it later than who ran, or was ahead, when it came."""
    small = [Row(number, number * gap_s, f"s{number}", "full", 1, asked_s, asked_s) for number, asked_s in enumerate(asked)]
    whole = Row(10_000, at, "whole", "full", capacity, 600, 600)
    outcomes = replay(sorted([*small, whole], key=lambda row: (row.submitted_s, row.number)), {"full": capacity}).outcomes
    start = next(one.started_s for one in outcomes if one.row.number == whole.number)
    before = [one for one in outcomes if one.row.submitted_s <= at and one.row.number != whole.number]
    ends = [max(one.started_s, at) + one.row.asked_s for one in before if one.started_s + one.row.asked_s > at]
    assert start <= max([at, *ends], default=at)


def test_a_short_one_slips_in_before_the_reservation_and_a_long_one_does_not() -> None:
    busy = [Busy("a", 100, 3)]
    head = Request("head", "p", 500, 0, 4)
    short, long_ = Request("short", "q", 100, 1), Request("long", "q", 101, 2)
    found = decide(4, busy, [head, long_, short], now=0)
    assert found.reservation == admission.Reservation("head", 100, 0)
    assert [one.id for one in found.starts] == ["short"]
    assert fits_now_for_s(decide(4, busy, [head], now=0), 1, now=0) == 100
    assert fits_now_for_s(Decision(), 1, now=0) is None


def test_what_the_first_does_not_need_may_be_used_beyond_its_beginning() -> None:
    busy = [Busy("a", 100, 2), Busy("b", 100, 1)]
    found = decide(4, busy, [Request("head", "p", 500, 0, 3), Request("long", "q", 9999, 1)], now=0)
    assert [one.id for one in found.starts] == ["long"]


def test_a_device_whose_time_is_over_is_busy_until_its_holder_is_gone() -> None:
    found = decide(1, [Busy("late", 50)], [Request("next", "p", 60, 0)], now=80)
    assert found.starts == []
    assert found.reservation == admission.Reservation("next", 80, 0)


def test_a_project_at_its_limit_keeps_nothing_from_others() -> None:
    waiting = [Request("a1", "a", 60, 0), Request("a2", "a", 60, 1), Request("b1", "b", 60, 2)]
    found = decide(3, [], waiting, now=0, limits={"a": 1})
    assert [one.id for one in found.starts] == ["a1", "b1"]
    assert [one.id for one in found.limited] == ["a2"]
    assert found.reservation is None


def test_fair_share_delays_who_used_more_and_forgets_by_half() -> None:
    week = admission.HALF_LIFE_S
    assert admission.decayed_s([(0, 100), (week, 100), (2 * week, 100)]) == 175
    assert delay_s(own_s=100, all_s=300, projects=3, own_live=0) == 0
    assert delay_s(own_s=150, all_s=300, projects=3, own_live=0) == admission.OVER_USE_DELAY_S // 2
    assert delay_s(own_s=100, all_s=100, projects=1, own_live=0) == 0, "who is alone takes nothing from anybody"
    assert delay_s(own_s=0, all_s=0, projects=0, own_live=2) == 2 * admission.ENTRY_DELAY_S
    assert delay_s(own_s=10**9, all_s=10**9 + 1, projects=500, own_live=9) == admission.MOST_DELAY_S


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("1,p,full,1,60", "line 2"),
        ("x,p,full,1,60,30", "line 2"),
        ("1,p,full,1,60,61", "line 2"),
        ("1,p,full,0,60,30", "line 2"),
    ],
)
def test_a_bad_row_of_a_trace_is_named(line: str, said: str) -> None:
    with pytest.raises(BadTrace, match=said):
        read(["submitted_s,project,profile,gpus,asked_s,used_s", line])
    with pytest.raises(BadTrace, match="used_s"):
        read(["submitted_s,project,profile,gpus,asked_s", "1,p,full,1,60"])
