"""Which jobs a fact enqueues: the one table. A lower domain writes the fact, the jobs belong to whom they act for.

Each job receives `fact_id`, `subject_id` and the fact's payload as keyword arguments.
"""

REACTIONS: dict[str, tuple[str, ...]] = {
    # A suspended person's servers stop within a minute (faults A08).
    "identity.person_suspended": ("compute.stop_sessions_of_person",),
    # A course run notes the lab, and completes the course when it was the last step; the hub's faults are made good.
    "compute.session_ended": ("learning.session_ended", "compute.make_good_end"),
    "payments.purchase_paid": (),
    "incubation.venture_admitted": (),
    "learning.person_enrolled": (),
}
