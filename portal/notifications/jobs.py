"""Queued and periodic work of notifications."""
