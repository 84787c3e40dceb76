"""Telephone numbers as they are compared: E.164. What was written or sent is kept beside it, unchanged.

Numbers are read, not judged: a number nobody has issued (555-01xx) still identifies who calls from it.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

import phonenumbers

LONGEST_INTERNAL = 6
"""Digits; a number this short without a + is an extension of our own and stays as it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneNumber:
    """One number. `number` is what look-ups compare; `raw` is what was written."""

    number: str
    raw: str


@lru_cache(maxsize=4096)  # each call's number is read three times on its way in
def normalise(raw: str | None, region: str) -> str | None:
    """The number to compare by, or None when there is none in `raw` (empty, "anonymous", withheld).

    `+` and `00` begin an international number; anything else is read as dialled in `region` (ISO 3166). Punctuation
    and letters around the digits do not matter. Never raises.
    """
    if not raw:
        return None
    text = unicodedata.normalize("NFKC", raw).strip()
    text = re.sub(r"^(tel|sip|sips):", "", text, flags=re.IGNORECASE).partition("@")[0].partition(";")[0]
    digits = "".join(str(int(sign)) for sign in text if sign.isdecimal())  # any script's digits as ASCII
    if not digits:
        return None
    head, plus, rest = text.partition("+")
    international = bool(plus) and not any(sign.isdecimal() for sign in head)
    if not international and len(digits) <= LONGEST_INTERNAL and not re.search(r"[A-Za-z]", text):
        return digits
    if international:
        text = "+" + rest
    elif digits == "00":
        return digits  # it begins no number
    elif digits.startswith("00"):
        international, text, digits = True, "+" + digits[2:], digits[2:]
    # A sign that no number has (a cent sign, half a letter) must not make it another number than its digits are.
    number = _e164(text, region) or _e164(f"+{digits}" if international else digits, region)
    if number is None:
        return f"+{digits}" if international else digits
    # Reading takes away one national prefix (the 1 of +1 1 555 ...); what is left may again begin with one. A form that
    # is compared must not change when it is read again.
    for _ in range(len(number)):
        again = _e164(number, region)
        if again is None or again == number:
            break
        number = again
    return number


def _e164(text: str, region: str) -> str | None:
    try:
        parsed = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)


def phone(raw: str, region: str) -> PhoneNumber | None:
    """The number and what was written; None when there is no digit in it."""
    number = normalise(raw, region)
    return None if number is None else PhoneNumber(number=number, raw=raw)


LEAST_SEARCHED = 3
"""Digits; fewer say nothing about a number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Typed:
    """What is typed while a number is searched: compared numbers may begin with one of `heads`, or end with one of `tails`."""

    heads: tuple[str, ...]
    tails: tuple[str, ...]


def typed(text: str, region: str) -> Typed | None:
    """How numbers may begin or end that are meant by the digits typed so far; None when `text` is no part of a number."""
    plain = unicodedata.normalize("NFKC", text).strip()
    plain = re.sub(r"^tel:", "", plain, flags=re.IGNORECASE)
    if not re.fullmatch(r"[\d\s()+./\-\u2010-\u2015\u00b7#*]*", plain):
        return None
    digits = "".join(str(int(sign)) for sign in plain if sign.isdecimal())
    if len(digits) < LEAST_SEARCHED:
        return None
    if plain.startswith(("+", "(+")):
        return Typed(heads=(f"+{digits}",), tails=())
    if digits.startswith("00") and len(digits) > LEAST_SEARCHED + 2:
        return Typed(heads=(f"+{digits[2:]}",), tails=(digits,))
    heads = [digits, f"+{digits}"]
    code = phonenumbers.country_code_for_region(region)
    if code:
        prefix = phonenumbers.ndd_prefix_for_region(region, True) or ""
        heads.append(f"+{code}{digits}")
        if prefix and digits.startswith(prefix):
            heads.append(f"+{code}{digits.removeprefix(prefix)}")
    whole = normalise(plain, region)
    if whole:
        heads.append(whole)
    tails = (digits, digits.lstrip("0"))
    return Typed(
        heads=tuple(dict.fromkeys(heads)), tails=tuple(dict.fromkeys(t for t in tails if len(t) >= LEAST_SEARCHED))
    )
