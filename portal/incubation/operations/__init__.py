"""Writes of incubation."""
