"""Queued and periodic work of projects."""
