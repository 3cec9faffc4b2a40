"""Pages of incubation: calls, applications, reviews, the staff's programme pages, ventures."""

from portal.incubation.views import applications, calls, letters, programme, reviews, ventures
from portal.incubation.views.blueprint import blueprint

__all__ = ["applications", "blueprint", "calls", "letters", "programme", "reviews", "ventures"]
