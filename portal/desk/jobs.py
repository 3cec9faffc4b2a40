"""Queued and periodic work of desk."""
