"""Alembic's one history. Every schema is built by it: development, tests and production alike.

A migration's file name begins with its number; the chain is linear. Triggers and functions are written as SQL in
the migration that brings them.
"""
