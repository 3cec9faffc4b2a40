"""People, organisations, memberships, roles, sign-in, and the OpenID Connect provider."""
