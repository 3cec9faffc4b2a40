"""Signing in to the hub with the portal, and the one long-lived object of the plug-in.

JupyterHub makes its authenticator exactly once, inside its event loop and before it looks at any
server: so the authenticator makes the agent and starts it.
"""

import asyncio
import copy
import sys
from typing import Any

from oauthenticator.generic import GenericOAuthenticator
from tornado.httpclient import HTTPClientError
from traitlets import Float

from portal.hub_plugin.agent import Agent
from portal.hub_plugin.settings import BadSetting, HubSettings
from portal.hub_plugin.spool import SpoolDamaged, SpoolInUse

_ANSWER_KEPT_S = 5.0


class PortalAuthenticator(GenericOAuthenticator):  # type: ignore[misc]
    """OpenID Connect with the portal; people stay signed in while the portal is away, not when it says no."""

    observe_interval_s = Float(60.0, help="How often every session is looked at.").tag(config=True)
    overrun_s = Float(7200.0, help="How long a session may run past what is paid while the portal is silent.").tag(config=True)

    agent: Agent

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._answers: dict[str, asyncio.Future[Any]] = {}
        try:
            self.agent = Agent(HubSettings.from_environment(), log=self.log, observe_interval_s=self.observe_interval_s, overrun_s=self.overrun_s)
        except (BadSetting, SpoolInUse, SpoolDamaged) as error:
            self.log.critical("%s", error)
            sys.exit(1)
        self.agent.begin()

    async def refresh_user(self, user: Any, handler: Any = None, **arguments: Any) -> Any:
        """Ask the portal again who this is; without an answer the person stays who they were.

        One question at a time for each person: a refresh token is good for once, and using it twice, as
        two requests of one page would, looks like theft to the portal. The hub stores an answer only after
        this returns, so an answer is handed to whoever asks in the seconds after it too.
        """
        answer = self._answers.get(user.name)
        if answer is None:
            answer = asyncio.ensure_future(self._ask_again(user, handler, **arguments))
            self._answers[user.name] = answer
            answer.add_done_callback(lambda done: self._keep_for_a_moment(user.name, done))
        return copy.deepcopy(await asyncio.shield(answer))

    def _keep_for_a_moment(self, username: str, answer: "asyncio.Future[Any]") -> None:
        if answer.cancelled() or answer.exception() is not None or not answer.result():
            # A refusal must not be remembered: the person signs in again within the second.
            self._answers.pop(username, None)
        else:
            asyncio.get_running_loop().call_later(_ANSWER_KEPT_S, self._answers.pop, username, None)

    async def _ask_again(self, user: Any, handler: Any, **arguments: Any) -> Any:
        auth_state = await user.get_auth_state()
        if not auth_state and getattr(handler, "_token_authenticated", False):
            # The portal made this person, who has not come by in a browser yet; the session's own token speaks.
            return True
        try:
            if auth_state:
                await self.token_to_user(auth_state["token_response"])
        except (OSError, HTTPClientError) as error:
            if _is_unreachable(error):
                self.log.warning("The portal is unreachable; %s stays signed in: %s", user.name, error)
                return True
        return await super().refresh_user(user, handler, **arguments)


def _is_unreachable(error: Exception) -> bool:
    return not isinstance(error, HTTPClientError) or error.code >= 500
