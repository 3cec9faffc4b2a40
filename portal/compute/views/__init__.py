"""Pages of compute: launch, sessions, allowances, the pool."""

from portal.compute.views import launch, pool, sessions
from portal.compute.views.base import blueprint

__all__ = ["blueprint", "launch", "pool", "sessions"]
