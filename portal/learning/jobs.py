"""Queued and periodic work of learning."""
