"""Calls, applications, reviews, decisions, ventures."""
