"""Writes of credits: each locks wallet rows in id order first, and has an idempotency key where it books."""
