"""Where a telephone number may be, as far as its digits tell: time zones by IANA name."""

from __future__ import annotations

from functools import lru_cache

import phonenumbers
from phonenumbers import timezone


@lru_cache(maxsize=4096)
def time_zones(number: str) -> tuple[str, ...]:
    """The time zones of an E.164 number; none where the digits tell nothing."""
    try:
        parsed = phonenumbers.parse(number, None)
    except phonenumbers.NumberParseException:
        return ()
    found = timezone.time_zones_for_number(parsed)
    return tuple(name for name in found if name != timezone.UNKNOWN_TIMEZONE)
