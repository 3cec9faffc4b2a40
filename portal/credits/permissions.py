"""What roles may do with credits. Members of a project see its wallet by being members."""

from enum import StrEnum

from portal.core.access import PermissionTable, Role


class Permission(StrEnum):
    """What somebody may do beyond their own projects."""

    SEE_FUNDS = "see_funds"
    SEE_EVERY_WALLET = "see_every_wallet"
    OPEN_FUND = "open_fund"
    GIVE_GRANT = "give_grant"
    DECIDE_GRANT = "decide_grant"
    CLOSE_MONTH = "close_month"
    CHANGE_LOT = "change_lot"
    ADJUST = "adjust"


HOLDERS: PermissionTable = {
    Permission.SEE_FUNDS: frozenset({Role.FINANCE, Role.STAFF, Role.FUNDER, Role.ADMINISTRATOR}),
    Permission.SEE_EVERY_WALLET: frozenset({Role.FINANCE, Role.STAFF, Role.FUNDER, Role.ADMINISTRATOR}),
    Permission.OPEN_FUND: frozenset({Role.FINANCE, Role.ADMINISTRATOR}),
    Permission.GIVE_GRANT: frozenset({Role.FINANCE, Role.ADMINISTRATOR}),
    Permission.DECIDE_GRANT: frozenset({Role.FINANCE, Role.ADMINISTRATOR}),
    Permission.CHANGE_LOT: frozenset({Role.FINANCE, Role.ADMINISTRATOR}),
    Permission.ADJUST: frozenset({Role.FINANCE, Role.ADMINISTRATOR}),
    Permission.CLOSE_MONTH: frozenset({Role.FINANCE, Role.ADMINISTRATOR}),
}
