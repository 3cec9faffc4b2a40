"""Reads of incubation, scoped by actor in SQL."""
