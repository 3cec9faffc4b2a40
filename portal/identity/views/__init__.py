"""Pages of identity: one's own account, organisations, people for staff, and the OpenID Connect provider."""

from portal.identity.views import account, oidc, organisations, people
from portal.identity.views.blueprint import blueprint

__all__ = ["account", "blueprint", "oidc", "organisations", "people"]
