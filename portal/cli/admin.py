"""Commands for administrators: the same operations as the pages, in one transaction each."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import click
from flask import Flask
from sqlalchemy.orm import Session

from portal.core import clock
from portal.core.access import Actor, Role
from portal.core.errors import DomainError
from portal.core.quantities import parse_credits, short_credits

COMMAND_LINE = Actor.process("command line")


def add_to(cli: click.Group) -> None:
    """Add these commands."""
    for command in (migrate, ledger, demo, user, course, sessions, price, doctor):
        cli.add_command(command)


def _app() -> Flask:
    from portal.factory import create_app  # noqa: PLC0415 -- fast paths stay fast

    return create_app()


@contextmanager
def transaction() -> Iterator[Session]:
    """Give one committed transaction; a refusal is one clear line."""
    from portal.core import database  # noqa: PLC0415
    from portal.factory import job_context  # noqa: PLC0415

    try:
        with database.transaction(job_context(_app()).sessions) as db:
            yield db
    except DomainError as error:
        raise click.ClickException(str(error)) from error


@click.command()
def migrate() -> None:
    """Bring the database to the newest schema, as its owner where `DATABASE_OWNER_URL` names one, and give the portal's role its privileges."""
    from portal.core import database, roles  # noqa: PLC0415
    from portal.factory import create_app  # noqa: PLC0415
    from portal.settings import load as load_settings  # noqa: PLC0415

    settings = load_settings()
    owner_url = settings.database_owner_url
    app = create_app(replace(settings, database_url=owner_url or settings.database_url))
    logging.getLogger("alembic").setLevel(logging.WARNING)
    with app.app_context():
        app.extensions["alembic"].upgrade()
    if owner_url is not None:
        with database.make_engine(owner_url).begin() as connection:
            roles.grant(connection, settings.database_role)


@click.group()
def ledger() -> None:
    """Look after the credit ledger."""


@ledger.command()
def verify() -> None:
    """Check every invariant; print the rows looked at, and the first bad one. Non-zero when one is broken."""
    from portal.credits.verify import run_and_note  # noqa: PLC0415

    with transaction() as db:
        results = run_and_note(db, now=clock.now())
    for result in results:
        click.echo(f"{result.number:>3}  {'ok ' if result.first_bad is None else 'BAD'}  {result.rows_checked:>8} rows  {result.name}")
        if result.first_bad is not None:
            click.echo(f"          first bad row: {result.first_bad}")
    bad = sum(result.first_bad is not None for result in results)
    click.echo(f"ledger: {len(results)} invariants checked, {bad} broken")
    if bad:
        raise SystemExit(1)


@click.group()
def demo() -> None:
    """Load the demo world."""


@demo.command()
@click.option("--if-empty", is_flag=True, help="Do nothing where people already exist, instead of failing.")
def load(*, if_empty: bool) -> None:
    """Load the demo world into an empty database."""
    from portal.demo.world import NotEmpty  # noqa: PLC0415
    from portal.demo.world import load as load_world  # noqa: PLC0415

    started = time.monotonic()
    app = _app()
    try:
        with transaction() as db:
            load_world(db, courses_dir=app.extensions["portal_settings"].courses_dir, now=clock.now())
    except NotEmpty:
        if not if_empty:
            raise click.ClickException("people already exist here; the demo world needs an empty database") from None
        return
    click.echo(f"demo world loaded in {time.monotonic() - started:.1f} s")


@click.group()
def user() -> None:
    """Look after people."""


@user.command()
@click.argument("email")
@click.argument("name")
@click.option("--role", "roles", multiple=True, type=click.Choice([role.value for role in Role]))
@click.password_option()
def add(email: str, name: str, roles: tuple[str, ...], password: str) -> None:
    """Add a person with a confirmed address, for example the first administrator."""
    from portal.identity.operations import people  # noqa: PLC0415

    app = _app()
    with app.app_context(), transaction() as db:
        now = clock.now()
        person_id = people.register(db, email=email, display_name=name, password=password, is_confirmed=True, by=COMMAND_LINE, now=now)
        for role in roles:
            people.give_role(db, person_id=person_id, role=Role(role), by=COMMAND_LINE, now=now)
    click.echo(f"added {email}")


@user.command("role")
@click.argument("email")
@click.argument("role", type=click.Choice([role.value for role in Role]))
@click.option("--take", is_flag=True, help="Take the role away instead of giving it.")
def change_role(email: str, role: str, *, take: bool) -> None:
    """Give a role to a person, or take it away."""
    from portal.identity import queries  # noqa: PLC0415
    from portal.identity.operations import people  # noqa: PLC0415

    with transaction() as db:
        person = queries.person_by_email(db, email)
        if person is None:
            raise click.ClickException(f"nobody here has the address {email}")
        change = people.take_role if take else people.give_role
        change(db, person_id=person.id, role=Role(role), by=COMMAND_LINE, now=clock.now())


@click.group()
def course() -> None:
    """Look after course files."""


@course.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
def check(folder: Path) -> None:
    """Check a course's files; each problem names file, line, what is wrong and how to mend it."""
    from portal.learning.content.loading import check as check_course  # noqa: PLC0415

    problems = check_course(folder)
    for problem in problems:
        click.echo(str(problem))
    errors = [problem for problem in problems if not problem.is_warning]
    click.echo(f"{folder.name}: {len(errors)} errors, {len(problems) - len(errors)} warnings")
    if errors:
        raise SystemExit(1)


@click.group()
def sessions() -> None:
    """Look after compute sessions."""


@sessions.command("stop-all")
@click.option("--wait", "wait_s", type=int, default=0, help="Seconds to wait for the last one to end.")
def stop_all(wait_s: int) -> None:
    """Ask every running session to stop; the worker and the hub carry it out."""
    from portal.compute.operations import maintenance  # noqa: PLC0415

    with transaction() as db:
        count = maintenance.stop_all(db, by=COMMAND_LINE, now=clock.now())
    if count:
        click.echo(f"stopping {count} sessions")
    deadline = time.monotonic() + wait_s
    while count and time.monotonic() < deadline:
        time.sleep(0.5)
        with transaction() as db:
            count = maintenance.count_live(db)
    if count and wait_s:
        click.echo(f"{count} sessions are still ending")


@click.group()
def price() -> None:
    """Look after what machines cost."""


@price.command("set")
@click.argument("profile")
@click.argument("credits_per_hour")
@click.option("--from", "from_", help="When it begins, with its zone: 2026-12-01T00:00+01:00. Now, where it is not given.")
def set_price(profile: str, credits_per_hour: str, from_: str | None) -> None:
    """Publish what an hour of a machine costs; the people of sessions that it will reach get a mail."""
    from portal.compute import queries  # noqa: PLC0415
    from portal.compute.operations import prices  # noqa: PLC0415

    now = clock.now()
    try:
        rate_ucr, starts_at = parse_credits(credits_per_hour), datetime.fromisoformat(from_) if from_ else now
    except ValueError as error:
        raise click.ClickException(f"not a number of credits, or not an instant: {error}") from None
    if starts_at.tzinfo is None:
        raise click.ClickException("say in which zone: 2026-12-01T00:00+01:00")
    with transaction() as db:
        profile_id = queries.profile_id_of(db, profile)
        if profile_id is None:
            raise click.ClickException(f"no machine is called {profile}")
        prices.set_price(db, profile_id=profile_id, rate_ucr_per_hour=rate_ucr, starts_at=starts_at, by=COMMAND_LINE, now=now)
    click.echo(f"an hour of {profile} costs {short_credits(rate_ucr)} credits from {starts_at.isoformat()} on")


@click.command()
def doctor() -> None:
    """Say what this machine can hold: versions, sandbox, limits."""
    from portal.cli.doctor import report  # noqa: PLC0415

    for line in report():
        click.echo(line)
