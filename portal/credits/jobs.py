"""Queued and periodic work of credits."""
