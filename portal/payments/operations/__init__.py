"""Writes of payments; none of them talks to a network."""
