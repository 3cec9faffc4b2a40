"""Commands that run processes: `up`, `worker`."""

import asyncio
from pathlib import Path

import click

from portal.cli.environment import ROOT, NoFreePorts
from portal.cli.supervisor import ChildFailed


def add_to(cli: click.Group) -> None:
    """Add these commands."""
    cli.add_command(up)
    cli.add_command(worker)


@click.command()
@click.option("--port", type=int, default=None, envvar="PORT", help="First of six ports (8000).")
@click.option("--var", "var_dir", type=click.Path(path_type=Path), default=ROOT / "var", envvar="PORTAL_VAR_DIR", help="Where everything is kept.")
@click.option("--demo/--no-demo", default=True, help="Load the demo world into an empty database.")
def up(port: int | None, var_dir: Path, demo: bool) -> None:
    """Start everything on this machine, until Ctrl-C."""
    from portal.cli.up import run  # noqa: PLC0415 -- fast paths stay fast

    try:
        raise SystemExit(run(var_dir.resolve(), port=port, load_demo=demo))
    except (ChildFailed, NoFreePorts) as error:
        raise click.ClickException(str(error)) from error


@click.command()
@click.argument("queues", nargs=-1, required=True)
@click.option("--concurrency", type=int, default=2)
def worker(queues: tuple[str, ...], concurrency: int) -> None:
    """Run queued work of some queues: meter, start, pay, bulk."""
    from portal.core import jobs  # noqa: PLC0415
    from portal.factory import create_app, job_context  # noqa: PLC0415

    app = create_app()
    context = job_context(app)
    procrastinate = jobs.make_worker(context, context.settings.database_url)

    async def run() -> None:
        async with procrastinate.open_async():
            await procrastinate.run_worker_async(queues=list(queues), concurrency=concurrency, listen_notify=True, fetch_job_polling_interval=5.0)

    asyncio.run(run())
