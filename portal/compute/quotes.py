"""What a start would take, all of it before the button: price, energy, hold, and the credits that stay."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from portal.compute import queries, rules
from portal.compute.queries import Offer
from portal.compute.queries.allowances import AskRow, WeeklyAllowance, allowance_of, latest_ask
from portal.compute.waits import MOST_ALTERNATIVES, Wait, wait_if_asked
from portal.core.access import Actor
from portal.core.errors import NotFound
from portal.core.quantities import SECONDS_PER_HOUR
from portal.credits import queries as ledger
from portal.projects import queries as projects
from portal.projects.queries import ProjectCard
from portal.projects.states import MemberRole

SPENDERS = frozenset({MemberRole.LEAD, MemberRole.MEMBER})


@dataclass(frozen=True)
class Choice:
    """What the person chose so far; anything unknown is replaced by the first that can be had."""

    profile: str | None = None
    hours: str | None = None
    project: str | None = None


@dataclass(frozen=True)
class Quote:
    """What one machine for one duration takes from one project. balance_ucr and held_ucr are None without a wallet."""

    offer: Offer
    duration_s: int
    project: ProjectCard
    total_ucr: int
    hold_ucr: int
    energy_wh: int
    balance_ucr: int | None
    held_ucr: int | None
    week: WeeklyAllowance
    wait: Wait | None
    last_ask: AskRow | None

    @property
    def length(self) -> timedelta:
        """Return the duration."""
        return timedelta(seconds=self.duration_s)

    @property
    def free_ucr(self) -> int:
        """Return what is free now."""
        return (self.balance_ucr or 0) - (self.held_ucr or 0)

    @property
    def is_paid(self) -> bool:
        """Return whether the first window can be held."""
        return self.balance_ucr is not None and self.free_ucr >= self.hold_ucr

    @property
    def lasts_s(self) -> int:
        """Return how long the free credit lasts, at most the duration."""
        return min(self.duration_s, max(0, self.free_ucr) * SECONDS_PER_HOUR // self.offer.rate_ucr_per_hour)

    @property
    def is_busy(self) -> bool:
        """Return whether no device can be had now: it would have to wait, or what is free closes before it would end."""
        return self.wait is not None or self.offer.free == 0

    @property
    def can_start(self) -> bool:
        """Return whether it would be accepted, to start now or to wait."""
        can_be_had = self.offer.free > 0 if self.wait is None else self.wait.most_by is not None
        return self.is_paid and self.is_allowed and can_be_had

    @property
    def is_allowed(self) -> bool:
        """Return whether the payer's weekly allowance covers the whole duration."""
        return self.week.fits(self.total_ucr)

    def has_next_price(self, now: datetime) -> bool:
        """Return whether another price begins before the session would end."""
        return self.offer.next_price_at is not None and self.offer.next_price_at < now + self.length

    @property
    def shorter_s(self) -> int:
        """Return the longest duration that the weekly allowance covers, 0 for none."""
        return max((duration_s for duration_s in rules.DURATIONS_S if self.week.fits(self.offer.cost_ucr(duration_s))), default=0)


@dataclass(frozen=True)
class LaunchPage:
    """All that the launch page shows. quote is None where there is nothing to start or nobody to pay."""

    offers: Sequence[Offer]
    projects: Sequence[ProjectCard]
    alternatives: Sequence[Offer]
    quote: Quote | None


def launch_page(db: Session, actor: Actor, choice: Choice, *, now: datetime) -> LaunchPage:
    """Return the page for a choice; at most ten statements, and six more where it would have to wait."""
    paying = paying_projects(db, actor)
    payer = next((card for card in paying if card.slug == choice.project), paying[0] if paying else None)
    duration_s = duration_of(choice.hours) or rules.DURATIONS_S[0]
    offers = queries.offers(db, now=now, for_s=duration_s, project_id=payer.id if payer is not None else None)
    if not offers or payer is None:
        return LaunchPage(offers, paying, (), None)
    offer = next((one for one in offers if one.slug == choice.profile), None) or next((one for one in offers if one.free), offers[0])
    quote = _quote(db, offer, duration_s, payer, actor, now=now)
    free = [one for one in offers if one.free and one is not offer] if quote.is_busy else []
    nearest = sorted(free, key=lambda one: (abs(one.gpu_memory_gb - offer.gpu_memory_gb), one.rate_ucr_per_hour))
    return LaunchPage(offers, paying, nearest[:MOST_ALTERNATIVES], quote)


def paying_projects(db: Session, actor: Actor) -> list[ProjectCard]:
    """Return the open projects that an actor may pay from."""
    return projects.projects_of(db, actor.id, roles=SPENDERS)


def duration_of(hours: str | None) -> int | None:
    """Return the offered duration that a form's value names, None for anything else."""
    return next((duration_s for duration_s in rules.DURATIONS_S if str(duration_s // SECONDS_PER_HOUR) == hours), None)


def _quote(db: Session, offer: Offer, duration_s: int, project: ProjectCard, actor: Actor, *, now: datetime) -> Quote:
    week = allowance_of(db, project.id, actor.id, now=now)
    balance = balance_of(db, project.id, now=now)
    return Quote(
        offer=offer,
        duration_s=duration_s,
        project=project,
        total_ucr=offer.cost_ucr(duration_s),
        hold_ucr=offer.cost_ucr(rules.hold_s(duration_s)),
        energy_wh=offer.energy_wh(duration_s),
        balance_ucr=balance.balance_ucr if balance is not None else None,
        held_ucr=balance.held_ucr if balance is not None else None,
        week=week,
        wait=wait_if_asked(db, offer.device_class, project.id, duration_s, now=now),
        last_ask=latest_ask(db, project.id, actor, now=now) if week.weekly_ucr is not None else None,
    )


def balance_of(db: Session, project_id: uuid.UUID, *, now: datetime) -> ledger.Balance | None:
    """Return the balance of a project's wallet, None where it has none."""
    try:
        return ledger.balance_of_project(db, project_id, now=now)
    except NotFound:
        return None
