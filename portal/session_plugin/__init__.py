"""Runs inside the single-user server. Imports nothing of the portal. Built with issue 4."""
