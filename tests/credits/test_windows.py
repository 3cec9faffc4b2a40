"""Windows and costs as pure functions, tried against every second."""

import uuid
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from portal.core.quantities import charge_ucr
from portal.credits.rules.costs import Segment, cost_ucr
from portal.credits.rules.lots import LotState, burn_order
from portal.credits.rules.windows import hold_ucr, plan_chain, plan_window

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)


def lot(available_ucr: int, expires_s: int, *, effective_s: int = -1, priority: int = 100, classes: frozenset[str] | None = None, order: int = 0) -> LotState:
    return LotState(
        id=uuid.UUID(int=order + 1),
        available_account_id=uuid.UUID(int=0),
        held_account_id=uuid.UUID(int=0),
        priority=priority,
        classes=classes,
        is_bought=False,
        granted_at=NOW,
        effective_at=NOW + timedelta(seconds=effective_s),
        expires_at=NOW + timedelta(seconds=expires_s),
        available_ucr=available_ucr,
    )


LOTS = st.lists(st.tuples(st.integers(0, 400), st.integers(0, 1000), st.sampled_from([-5, 0, 3]), st.sampled_from([1, 100])), max_size=6)


@settings(derandomize=True, max_examples=300, deadline=None)
@given(LOTS, st.sampled_from([1, 100, 3600, 7200, 100_000]), st.sampled_from([None, 30, 500]))
def test_a_window_is_the_longest_whose_lots_all_last_until_its_end(terms: list[tuple[int, int, int, int]], rate: int, most_s: int | None) -> None:
    lots = burn_order(
        lot(available, max(expires, effective + 1), effective_s=effective, priority=priority, order=order)
        for order, (available, expires, effective, priority) in enumerate(terms)
    )
    found = plan_window(lots, rate, NOW, NOW + timedelta(seconds=900), most_s)
    valid = [each for each in lots if each.is_valid_at(NOW) and each.available_ucr > 0]
    expected = None
    for ends_s in range(900, 0, -1):
        ends_at = NOW + timedelta(seconds=ends_s)
        left = hold_ucr(rate, NOW, ends_at, most_s)
        used = []
        for each in valid:
            if left > 0:
                used.append((each.id, min(left, each.available_ucr)))
                left -= used[-1][1]
        if all(each.expires_at >= ends_at for each in valid if each.id in dict(used)):
            expected = None if left else (ends_at, used)
            break
    assert (found and (found.ends_at, [(share.lot.id, share.amount_ucr) for share in found.shares])) == expected


@settings(derandomize=True, max_examples=300, deadline=None)
@given(st.integers(1, 10**9), st.lists(st.integers(1, 900), min_size=1, max_size=8), st.integers(0, 899))
def test_a_hold_covers_its_seconds_wherever_the_session_began_in_the_first(rate: int, lengths: list[int], late_s: int) -> None:
    at = 0
    for length in lengths:
        begins, ends = max(0, at - late_s), max(0, at + length - late_s)
        held = hold_ucr(rate, NOW, NOW + timedelta(seconds=length))
        assert charge_ucr(rate, ends) - charge_ucr(rate, begins) <= held
        at += length


@settings(derandomize=True, max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 5000), st.integers(1, 10**9)), min_size=1, max_size=5), st.integers(0, 20_000))
def test_cost_is_the_sum_of_floors_by_segment(parts: list[tuple[int, int]], duration_s: int) -> None:
    segments, at, expected = [], 0, 0
    for number, (length, rate) in enumerate(parts):
        segments.append(Segment(number, at, rate))
        ends = at + length if number + 1 < len(parts) else 10**9
        expected += max(0, min(duration_s, ends) - at) * rate // 3600
        at += length
    assert cost_ucr(segments, duration_s) == expected


def test_burn_order_is_priority_expiry_narrowness_given_then_age() -> None:
    first = lot(1, 900, priority=1, order=9)
    soon = lot(1, 100, order=8)
    narrow = lot(1, 900, classes=frozenset({"cpu"}), order=7)
    wider = lot(1, 900, classes=frozenset({"cpu", "slice"}), order=6)
    given_lot, bought, young = lot(1, 900, order=5), lot(1, 900, order=1), lot(1, 900, order=0)
    bought.is_bought = True
    young.granted_at = NOW + timedelta(seconds=1)
    shuffled = [bought, wider, young, first, given_lot, narrow, soon]
    assert burn_order(shuffled) == [first, soon, narrow, wider, given_lot, young, bought]


def test_a_window_never_uses_a_lot_that_ends_before_it_even_when_others_could_pay_less_of_it() -> None:
    lots = burn_order([lot(10, 5), lot(10_000, 900)])
    found = plan_window(lots, 3600, NOW, NOW + timedelta(seconds=900))
    assert found is not None
    assert found.ends_at == NOW + timedelta(seconds=5)


def test_a_chain_waits_for_a_lot_that_begins_inside_it() -> None:
    lots = burn_order([lot(100, 5000), lot(10_000, 5000, effective_s=100)])
    chain = plan_chain(lots, 3600, NOW, until=NOW + timedelta(seconds=300))
    assert [window.ends_at for window in chain.windows] == [NOW + timedelta(seconds=100), NOW + timedelta(seconds=1000)]
