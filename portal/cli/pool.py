"""Commands for the pool: nodes, devices that were set aside, windows and quotas."""

from datetime import datetime
from pathlib import Path

import click

from portal.cli.admin import COMMAND_LINE, transaction
from portal.core import clock


def add_to(cli: click.Group) -> None:
    """Add these commands."""
    cli.add_command(pool)


@click.group()
def pool() -> None:
    """Look after the nodes, devices, windows and quotas of the pool."""


@pool.command()
@click.argument("name")
@click.argument("step", type=click.Choice(["drain", "maintain", "distrust", "reopen", "retire"]))
def node(name: str, step: str) -> None:
    """Change how a node stands; sessions that run on it go on."""
    from portal.compute.operations import nodes  # noqa: PLC0415 -- fast paths stay fast

    with transaction() as db:
        state = nodes.change(db, name=name, step=step, by=COMMAND_LINE, now=clock.now())
    click.echo(f"{name}: {state.value}")


@pool.command()
@click.argument("device")
def reopen(device: str) -> None:
    """Take a device back into service that was set aside because starts on it failed."""
    from portal.compute.operations import nodes  # noqa: PLC0415

    with transaction() as db:
        nodes.reopen_device(db, name=device, by=COMMAND_LINE, now=clock.now())
    click.echo(f"{device}: open")


@pool.command()
@click.argument("kind", type=click.Choice(["maintenance", "closed", "reserved"]))
@click.argument("subject")
@click.option("--from", "from_", required=True, help="When it begins, with its zone: 2026-12-01T00:00+01:00.")
@click.option("--until", required=True, help="When it ends, with its zone.")
@click.option("--note", required=True, help="Why; the people of sessions that reach in read it.")
@click.option("--project", help="The short name of the project that it is reserved for.")
def window(kind: str, subject: str, *, from_: str, until: str, note: str, project: str | None) -> None:
    """Plan maintenance of a node, or a time in which a type of device is closed or reserved."""
    from portal.compute.operations import windows  # noqa: PLC0415
    from portal.compute.states import WindowKind  # noqa: PLC0415

    starts_at, ends_at = _instant(from_), _instant(until)
    if not 0 < len(note) <= windows.NOTE_LENGTH:
        raise click.ClickException(f"a note has 1 to {windows.NOTE_LENGTH} characters")
    with transaction() as db:
        planned = windows.plan(
            db,
            kind=WindowKind(kind),
            node=subject,
            device_class=subject,
            project=project,
            starts_at=starts_at,
            ends_at=ends_at,
            note=note,
            by=COMMAND_LINE,
            now=clock.now(),
        )
    click.echo(f"window {planned.number}: {kind} of {subject}, {planned.told} told")


@pool.command("windows")
def list_windows() -> None:
    """List the windows that are not over."""
    from portal.compute.queries.windows import page_of_windows  # noqa: PLC0415

    mark = None
    with transaction() as db:
        while True:
            page = page_of_windows(db, now=clock.now(), mark=mark)
            for row in page.rows:
                click.echo(f"{row.number}  {row.kind.value} {row.subject}  {row.starts_at.isoformat()} to {row.ends_at.isoformat()}  {row.note}")
            mark = page.next_mark
            if mark is None:
                return


@pool.command()
@click.argument("number", type=int)
def cancel(number: int) -> None:
    """Give a planned window up."""
    from portal.compute.operations import windows  # noqa: PLC0415

    with transaction() as db:
        windows.cancel(db, number=number, by=COMMAND_LINE, now=clock.now())
    click.echo(f"window {number}: cancelled")


@pool.command()
@click.argument("device_type")
@click.option("--project", help="The short name of a project; without it, the default of every project.")
@click.option("--people", is_flag=True, help="The default of every person instead.")
@click.option("--guaranteed", type=int, default=0, help="Kept for the project.")
@click.option("--borrowable", type=int, default=0, help="How many more it may take of what is left.")
@click.option("--lendable", type=int, default=0, help="How many of the guaranteed ones others may use meanwhile.")
def quota(device_type: str, *, project: str | None, guaranteed: int, borrowable: int, lendable: int, people: bool) -> None:
    """Set how many devices of a type may be held at once."""
    from portal.compute.operations import quotas  # noqa: PLC0415
    from portal.compute.states import QuotaScope  # noqa: PLC0415

    if people and project:
        raise click.ClickException("give --project or --people, not both")
    scope = QuotaScope.PERSON if people else QuotaScope.PROJECT
    amounts = {"guaranteed": guaranteed, "borrowable": borrowable, "lendable": lendable}
    with transaction() as db:
        quotas.set_quota(db, device_class=device_type, scope=scope, project=project, **amounts, by=COMMAND_LINE, now=clock.now())
    click.echo(f"{device_type}: set")


@pool.command("quotas")
def list_quotas() -> None:
    """List the quotas and what is held of them."""
    from portal.compute.queries.quotas import quota_rows  # noqa: PLC0415

    with transaction() as db:
        for row in quota_rows(db):
            limit, who = row.limit, row.subject or f"every {row.scope.value}"
            click.echo(f"{row.device_class}  {who}: guaranteed {limit.guaranteed}, borrowable {limit.borrowable}, lendable {limit.lendable}, held {limit.used}")


def _instant(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise click.ClickException(f"{text} is not an instant") from None
    if found.tzinfo is None:
        raise click.ClickException("say in which zone: 2026-12-01T00:00+01:00")
    return found


@pool.command()
@click.argument("trace", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--pool", "devices", required=True, help="Devices by profile, for example full:8,slice:40.")
def simulate(trace: Path, devices: str) -> None:
    """Replay a trace of requests (CSV) on a pool, with the decision code that the portal runs."""
    from portal.compute import simulator  # noqa: PLC0415

    try:
        capacity = {name: int(count) for name, count in (part.split(":") for part in devices.split(","))}
    except ValueError as error:
        raise click.ClickException("--pool is written like full:8,slice:40") from error
    try:
        found = simulator.replay(simulator.read(trace.read_text().splitlines()), capacity)
    except simulator.BadTrace as error:
        raise click.ClickException(str(error)) from error
    waits = sorted(one.waited_s for one in found.outcomes)
    click.echo(f"requests      {len(found.outcomes) + len(found.refused)}, of them {len(found.refused)} never fit")
    click.echo(f"waited        {len(found.waited)}, median of all {waits[len(waits) // 2] if waits else 0} s, longest {waits[-1] if waits else 0} s")
    click.echo(f"most held     {', '.join(f'{name} {count} of {capacity[name]}' for name, count in found.most_held.items())}")
    if found.coverage is not None and found.ratio is not None:
        click.echo(f"promises      {found.coverage:.1%} of the stated 90 % kept; median stated wait {found.ratio:.2f} times an oracle's")
