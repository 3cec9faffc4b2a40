"""The lock on every start: no ticket redeemed at the portal, no server.

Whoever starts a server (a page of the hub, a person's token, an administrator) passes here, and all
refusals are polite ones that JupyterHub does not count as failures of its own.
"""

import asyncio
from typing import Any

from jupyterhub.spawner import SpawnException

from portal.hub_plugin.portal_client import PortalUnavailable, TicketRefused
from portal.hub_plugin.refusals import refusal


async def redeem_before_spawn(spawner: Any) -> None:
    """Redeem the start's ticket and hand the grant to the spawner; raises SpawnException in every other case.

    JupyterHub's `pre_spawn_hook`. A start without options re-uses those of the last start, ticket
    included: the portal refuses a used ticket.
    """
    agent = spawner.authenticator.agent
    portal_url = agent.settings.portal_url
    options = spawner.user_options if isinstance(spawner.user_options, dict) else {}
    ticket = options.get("ticket")
    if not spawner.name or not isinstance(ticket, str) or not 16 <= len(ticket) <= 256:
        raise refusal("no_ticket", status=403, portal_url=portal_url)
    try:
        grant = await agent.portal.redeem(ticket=ticket, username=spawner.user.name, server=spawner.name)
    except TicketRefused as error:
        raise refusal(error.code, status=error.status, portal_url=portal_url) from error
    except PortalUnavailable as error:
        raise _unavailable(portal_url, str(error)) from error
    except asyncio.CancelledError:
        raise
    except Exception as error:
        # Whatever went wrong, it is no reason to start something, nor to count a failure against the hub.
        spawner.log.exception("The ticket of %s could not be redeemed", spawner._log_name)  # noqa: SLF001 - the hub's name for it
        raise _unavailable(portal_url, repr(error)) from error
    spawner.accept(grant)


def _unavailable(portal_url: str, log_message: str) -> SpawnException:
    return refusal("portal_unavailable", status=503, portal_url=portal_url, log_message=log_message)
