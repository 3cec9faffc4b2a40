"""The lock on every start: no ticket redeemed at the portal, no server.

Whoever starts a server (a page of the hub, a person's token, an administrator) passes here, and all
refusals are polite ones that JupyterHub does not count as failures of its own.
"""

import asyncio
import html
from typing import Any

from jupyterhub.spawner import SpawnException

from portal.hub_plugin.portal_client import PortalUnavailable, TicketRefused

_REFUSALS = {
    "ticket_unknown": "This start is not known to the portal.",
    "ticket_used": "This start was used already.",
    "ticket_expired": "This start took too long to arrive and has expired.",
    "ticket_not_yours": "This start belongs to somebody else.",
    "session_not_starting": "This session is not waiting to start any more.",
}


def refusal(message: str, *, reason: str, status: int, portal_url: str, log_message: str = "") -> SpawnException:
    """Return the exception that refuses a start and leads back to the portal."""
    return SpawnException(
        f"{message} Start sessions from the portal: {portal_url}/",
        reason=reason,
        status_code=status,
        log_message=log_message or message,
        message_html=f'{html.escape(message)} <a href="{html.escape(portal_url, quote=True)}/">Start sessions from the portal</a>.',
    )


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
        raise refusal("Sessions do not start here.", reason="no_ticket", status=403, portal_url=portal_url)
    try:
        grant = await agent.portal.redeem(ticket=ticket, username=spawner.user.name, server=spawner.name)
    except TicketRefused as error:
        raise refusal(_REFUSALS[error.code], reason=error.code, status=error.status, portal_url=portal_url) from error
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
    message = "The portal did not answer, so nothing was started and nothing is charged. Try again in a minute."
    return refusal(message, reason="portal_unavailable", status=503, portal_url=portal_url, log_message=log_message)
