"""Passport, openings, placements. Built with issue 7."""
