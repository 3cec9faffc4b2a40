"""Pages of compute: launch, sessions, allowances, the pool."""

from portal.compute.views import allowances, charges, launch, pool, sessions
from portal.compute.views.base import blueprint

__all__ = ["allowances", "blueprint", "charges", "launch", "pool", "sessions"]
