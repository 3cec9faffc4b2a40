"""People, organisations, memberships, roles, sign-in, and the OpenID Connect provider.

Words. A *person* is one record from applicant to alumnus, with a number that never changes and the slug `u-<number>`.
A *role* is held for the whole hub; a *membership* is of one organisation, as owner or member. A *sign-in session* is
one browser's row; a *grant* is what one authorisation at a client led to, with its code and tokens.

Invariants
- An address belongs to one person; a suspended person has no session, no token and no roles.
- Cookies, invitation links, codes, tokens and recovery codes are stored as SHA-256; passwords as Argon2id.
- A session's secret changes at sign-in, after the second factor and at a new password; a new password, a changed
  second factor and a suspension end every other session and every grant.
- TOTP codes, recovery codes, authorisation codes, invitations and reset links are used once, by one statement each.
- An organisation keeps an owner; an invitation gives nothing before its confirmed address accepts.
- Pages that take an address answer alike, with the same work, whether or not it has an account.

Flask-Security does passwords, confirmation, recovery and TOTP behind our own blueprint (`sign_in_views`); it sees a
person through `account`, a second mapping of the table. Authlib does OpenID Connect, made strict in `oidc`.
Signing out of the portal ends the grants of that session: the hub notices when it next renews (at most 300 s) and
asks to sign in again; running servers go on until stopped. Suspension writes `identity.person_suspended`.
"""
