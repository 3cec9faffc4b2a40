"""Queued and periodic work of incubation."""
