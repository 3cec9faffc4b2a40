"""The first call as data: its form, rubric and texts in English, French and Arabic; what `operations.calls.open_call` takes.

Used by the demo world, the journey and the tests, and a sound start for a real programme.
"""

from portal.incubation.defaults.call import CALL, PROGRAMME_NAME, PROGRAMME_SLUG
from portal.incubation.defaults.form import FORM
from portal.incubation.defaults.rubric import RUBRIC
from portal.incubation.defaults.sample import SAMPLE_ANSWERS

__all__ = ["CALL", "FORM", "PROGRAMME_NAME", "PROGRAMME_SLUG", "RUBRIC", "SAMPLE_ANSWERS"]
