"""Queued and periodic work of identity."""
