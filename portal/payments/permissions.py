"""What roles may do with payments. Leads and members of a project buy for it and see its purchases."""

from enum import StrEnum

from portal.core.access import PermissionTable, Role


class Permission(StrEnum):
    """What somebody may do beyond their own projects."""

    SEE_PAYMENTS = "see_payments"
    REFUND = "refund"
    PUBLISH_PRICES = "publish_prices"
    MATCH_TRANSFERS = "match_transfers"
    RESOLVE_DIFFERENCES = "resolve_differences"


_FINANCE = frozenset({Role.FINANCE, Role.ADMINISTRATOR})

HOLDERS: PermissionTable = {
    Permission.SEE_PAYMENTS: _FINANCE,
    Permission.REFUND: _FINANCE,
    Permission.PUBLISH_PRICES: _FINANCE,
    Permission.MATCH_TRANSFERS: _FINANCE,
    Permission.RESOLVE_DIFFERENCES: _FINANCE,
}
