"""Runs on a GPU node: power, use, process evidence. Imports nothing of the portal. Built with issue 4."""
