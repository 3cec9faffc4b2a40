"""What observations prove, without a database."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portal.compute import rules
from portal.compute.rules import ProcessId, Sight

BEGAN = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
BOOT_NS = 77_120 * 10**9
A = ProcessId("boot-a", 4711, 991823)
B = ProcessId("boot-a", 4712, 991999)
ELSEWHERE = ProcessId("boot-b", 1, 5)


def sight(at_s: float, process: ProcessId = A, *, age_s: float | None = None, is_end: bool = False) -> Sight:
    return Sight(process, BOOT_NS + int(at_s * 10**9), BEGAN + timedelta(seconds=at_s), None if age_s is None else int(age_s * 10**9), is_end)


def proven_s(*sights: Sight) -> int:
    life = rules.proven(rules.spans(sights).values())
    return life.proven_s if life is not None else 0


def test_two_sights_prove_all_the_time_between_them() -> None:
    assert proven_s(sight(0), sight(7200)) == 7200


def test_one_sight_proves_only_the_age_it_tells() -> None:
    assert proven_s(sight(3)) == 0
    assert proven_s(sight(3, age_s=3)) == 3


def test_life_begins_where_the_process_began_not_where_it_was_first_seen() -> None:
    life = rules.proven(rules.spans([sight(2.5, age_s=2.5), sight(60)]).values())

    assert life is not None
    assert (life.started_at, life.proven_s) == (BEGAN, 60)


def test_seconds_are_rounded_down_once_for_the_whole_session() -> None:
    assert proven_s(sight(0), *(sight(minute * 60 + 0.9) for minute in range(1, 10)), sight(600.999)) == 600


def test_f25_overlapping_spans_of_one_boot_count_once() -> None:
    assert proven_s(sight(0), sight(100), sight(40, B), sight(160, B)) == 160


def test_spans_with_a_gap_prove_nothing_of_the_gap() -> None:
    assert proven_s(sight(0), sight(100), sight(500, B), sight(560, B)) == 160


def test_two_boots_are_added() -> None:
    assert proven_s(sight(0), sight(100), sight(1000, ELSEWHERE), sight(1050, ELSEWHERE)) == 150


def test_f23_a_jump_of_the_wall_clock_changes_no_second() -> None:
    jumped = [
        Sight(A, BOOT_NS + at * 10**9, BEGAN + timedelta(seconds=at) + jump, None)
        for at, jump in ((0, timedelta()), (60, timedelta(hours=1)), (120, -timedelta(hours=1)))
    ]
    life = rules.proven(rules.spans(jumped).values())

    assert life is not None
    assert (life.proven_s, life.started_at, life.last_seen_at) == (120, BEGAN, BEGAN + timedelta(seconds=120))


def test_an_age_longer_than_the_boot_is_cut_to_it() -> None:
    life = rules.proven(rules.spans([Sight(A, 5 * 10**9, BEGAN, 10**12)]).values())

    assert life is not None
    assert life.proven_s == 5


def test_a_session_has_ended_when_all_its_processes_were_seen_to_end() -> None:
    one = rules.proven(rules.spans([sight(0), sight(9, is_end=True), sight(4, B)]).values())
    both = rules.proven(rules.spans([sight(0), sight(9, is_end=True), sight(4, B), sight(5, B, is_end=True)]).values())

    assert (one is not None and one.ended, both is not None and both.ended) == (False, True)


sights = st.lists(
    st.builds(
        lambda at, age, process, jump, is_end: Sight(process, BOOT_NS + at, BEGAN + timedelta(microseconds=at // 1000) + jump, age, is_end),
        st.integers(0, 10**13),
        st.none() | st.integers(0, 10**12),
        st.sampled_from([A, B, ELSEWHERE]),
        st.sampled_from([timedelta(), timedelta(hours=1), timedelta(hours=-1)]),
        st.booleans(),
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=300, deadline=None)
@given(sights, st.randoms(use_true_random=False))
def test_f18_f19_order_and_repetition_change_nothing(seen: list[Sight], random) -> None:
    shuffled = [*seen, *random.choices(seen, k=len(seen))]
    random.shuffle(shuffled)

    assert rules.spans(shuffled).keys() == rules.spans(seen).keys()
    ours, theirs = rules.proven(rules.spans(shuffled).values()), rules.proven(rules.spans(seen).values())
    assert ours is not None
    assert theirs is not None
    assert (ours.proven_s, ours.ended) == (theirs.proven_s, theirs.ended)


@settings(max_examples=200, deadline=None)
@given(sights)
def test_proven_time_is_the_measure_of_the_union(seen: list[Sight]) -> None:
    """The same answer another way: sort all ends and count covered stretches."""
    total = 0
    for boot in {one.process.boot_id for one in seen}:
        spans = [span for span in rules.spans(seen).values() if span.process.boot_id == boot]
        marks = sorted({edge for span in spans for edge in (span.begins_ns, span.ends_ns)})
        total += sum(right - left for left, right in pairwise(marks) if any(span.begins_ns <= left and right <= span.ends_ns for span in spans))

    assert proven_s(*seen) == total // 10**9


@pytest.mark.parametrize(
    ("is_ready_known", "proven", "was_asked", "failed"),
    [(False, 2, False, True), (True, 2, False, False), (False, 2, True, False), (False, 200, False, False)],
)
def test_a_start_failed_when_a_short_life_never_answered(is_ready_known: bool, proven: int, was_asked: bool, failed: bool) -> None:
    assert rules.failed_to_start(is_ready_known=is_ready_known, proven_s=proven, was_asked_to_stop=was_asked) is failed


def test_the_limits_of_belief_are_five_minutes_ahead_and_35_days_back() -> None:
    now = BEGAN

    assert not rules.is_future(now + timedelta(minutes=4), now=now)
    assert rules.is_future(now + timedelta(minutes=6), now=now)
    assert not rules.is_too_old(now - timedelta(days=34), now=now)
    assert rules.is_too_old(now - timedelta(days=36), now=now)
