"""Pages of compute: launch, sessions, allowances, the pool, incidents."""

from portal.compute.views import allowances, charges, incidents, launch, pool, sessions
from portal.compute.views.base import blueprint

__all__ = ["allowances", "blueprint", "charges", "incidents", "launch", "pool", "sessions"]
