"""Catalogue, course runs, enrolment, lessons, labs."""
