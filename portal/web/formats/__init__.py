"""How numbers, units, money and times are written in each language.

Pure functions: values in, plain text out. `lang` is "en", "fr" or "ar"; instants are
aware datetimes and are shown in the zone `tz` that the caller passes. Templates use the
filters of `filters.py`, which add the markup and read language and zone of the request.

Rules of the house: groups of three and units take U+202F, minus is U+2212, dates hold
together with U+00A0, digits are Western in every language, the decimal mark is a comma in
French and a point elsewhere, hours are 24. Balances round down, so that nobody is shown a
credit that is not there.
"""

from portal.web.formats.filters import FormatContext, register
from portal.web.formats.numbers import (
    TriParts,
    credit_hundredths,
    credits_,
    credits_exact,
    kwh,
    money,
    number,
    percent,
    plural_count,
    quantity,
    size,
    tri_parts,
)
from portal.web.formats.times import ago, clock, date_, datetime_, duration, zone_city, zone_offset

__all__ = [
    "FormatContext",
    "TriParts",
    "ago",
    "clock",
    "credit_hundredths",
    "credits_",
    "credits_exact",
    "date_",
    "datetime_",
    "duration",
    "kwh",
    "money",
    "number",
    "percent",
    "plural_count",
    "quantity",
    "register",
    "size",
    "tri_parts",
    "zone_city",
    "zone_offset",
]
