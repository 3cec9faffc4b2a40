"""Pages of credits: wallets with their statements, funds and grants."""

from portal.credits.views import adjustments, funds, lots, statements, wallets, warnings
from portal.credits.views.base import blueprint

__all__ = ["adjustments", "blueprint", "funds", "lots", "statements", "wallets", "warnings"]
