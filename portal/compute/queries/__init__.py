"""Reads of compute, scoped by actor in SQL."""

from portal.compute.queries.pool import DeviceRow, Offer, PoolHealth, hub_answered_at, offers, page_of_devices, pool_health, profile_id_of
from portal.compute.queries.sessions import (
    ChargedSession,
    SessionView,
    charged_session,
    live_sessions_of,
    page_of_sessions,
    servers_to_stop,
    session_by_id,
    session_by_number,
)

__all__ = [
    "ChargedSession",
    "DeviceRow",
    "Offer",
    "PoolHealth",
    "SessionView",
    "charged_session",
    "hub_answered_at",
    "live_sessions_of",
    "offers",
    "page_of_devices",
    "page_of_sessions",
    "pool_health",
    "profile_id_of",
    "servers_to_stop",
    "session_by_id",
    "session_by_number",
]
