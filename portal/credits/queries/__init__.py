"""Reads of credits: balances exact to the second, costs of sessions, wallets, statements, funds."""

from portal.credits.queries.balances import Balance, PricePart, SessionCost, balance, balances, session_costs, wallet_of_project
from portal.credits.queries.of_people import balance_of_person, balance_of_project, wallets_of_projects
from portal.credits.queries.statements import Statement, StatementLine, statement
from portal.credits.queries.wallets import WalletCard, lots_of_wallet, page_of_charges, wallet_by_ref

__all__ = [
    "Balance",
    "PricePart",
    "SessionCost",
    "Statement",
    "StatementLine",
    "WalletCard",
    "balance",
    "balance_of_person",
    "balance_of_project",
    "balances",
    "lots_of_wallet",
    "page_of_charges",
    "session_costs",
    "statement",
    "wallet_by_ref",
    "wallet_of_project",
    "wallets_of_projects",
]
