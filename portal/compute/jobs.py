"""Queued and periodic work of compute."""
