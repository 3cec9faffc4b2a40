"""The `portal` command: the same operations as the pages, for administrators and machines.

    portal up                 everything on one machine, until Ctrl-C (what `make up` runs)
    portal migrate            bring the database to the newest schema
    portal worker QUEUE...    run queued work
    portal ledger verify      check the ledger's invariants; non-zero when one is broken
    portal demo load          load the demo world into an empty database
    portal user add|role      people, for the first administrator
    portal course check       check course files
    portal price set          what an hour of a machine costs from an instant on
    portal pool …             nodes, devices set aside, windows and quotas
    portal doctor             what this machine can hold: isolation, limits, versions

Modules are imported by the command that needs them: the fast paths stay fast.
"""

import os
import sys

import click

from portal.settings import BadSetting


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Run and look after the portal of the Tetouan AI hub."""


def main() -> None:
    """Run the command; a bad setting is one clear line, not a stack trace."""
    from portal.cli import admin, pool, processes  # noqa: PLC0415 -- see the module's page

    admin.add_to(cli)
    pool.add_to(cli)
    processes.add_to(cli)
    try:
        cli(auto_envvar_prefix=None)
    except BadSetting as error:
        click.echo(f"portal: {error}", err=True)
        if os.environ.get("PORTAL_DEBUG") == "1":
            raise
        sys.exit(2)
