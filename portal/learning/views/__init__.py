"""Pages of learning: the catalogue, courses and lessons, labs, and what those see who lead a run."""

from portal.learning.views import labs, reading, seats, staff
from portal.learning.views.base import blueprint

__all__ = ["blueprint", "labs", "reading", "seats", "staff"]
