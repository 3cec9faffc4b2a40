"""The OpenID Connect provider: Authlib, made strict where it is lenient.

One flow: authorisation code with PKCE S256, client_secret_basic. Clients are ours and come from the settings, so there
is no page that asks for consent. Anything wrong with an authorisation request ends on a page of the portal, never at
an address that somebody sent along.
"""
