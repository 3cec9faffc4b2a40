"""Reads of payments, scoped by actor in SQL."""
