"""Reads of credits: balances exact to the second, costs of sessions, wallets, statements, funds."""

from portal.credits.queries.balances import Balance, SessionCost, balance, balances, session_costs, wallet_of_project

__all__ = ["Balance", "SessionCost", "balance", "balances", "session_costs", "wallet_of_project"]
