"""Another customer system beside our own file: how it is opened for a caller, what it is told, what it may answer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any


class Opens(StrEnum):
    """How the page of the other system comes up."""

    BUTTON = "button"
    """The agent presses a button."""
    AUTOMATIC = "automatic"
    """When the agent answers, in a named tab that is used again."""


class CrmEventKind(StrEnum):
    """What the other system can be told of."""

    OFFERED = "offered"
    ANSWERED = "answered"
    MISSED = "missed"
    ENDED = "ended"
    WRAPPED_UP = "wrapped_up"


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """Where calls are told of, signed with the secret in `secret_file` (read each time, so that it can be changed)."""

    url: str
    secret_file: str
    events: tuple[CrmEventKind, ...] = tuple(CrmEventKind)
    deadline: timedelta = timedelta(seconds=5)
    """Of one try."""
    give_up: timedelta = timedelta(minutes=15)
    """An event that could not be told for so long is dropped, and counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutsideCrm:
    """The `crm` table of centre.yaml."""

    open_url: str = ""
    """Address of the other system's page with `PLACES` in braces; empty: none."""
    open: Opens = Opens.BUTTON
    webhook: Webhook | None = None
    look_up: str = ""
    """The HTTP service (of the centre's `services`) that knows customers; empty: nobody is asked."""
    look_up_first: bool = False
    """Whether that service is asked even about callers our own file knows."""
    look_up_keep: timedelta = timedelta(seconds=30)
    """How long its answers are used again."""


# ---- the address of the other system's page

PLACES = ("number", "call", "queue", "reference", "agent")
"""What may stand in braces."""
_PLACE = re.compile(r"\{([^{}]*)\}")
_BEGINNING = re.compile(r"https?://[A-Za-z0-9.:\[\]_-]+(?=[/?#]|$)")
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_ODD = re.compile(r"[\s<>\"'\\\x00-\x20\x7f]")
LONGEST_ADDRESS = 2000


def template_trouble(template: str) -> str:
    """What is wrong with the address of a page, in words; empty: nothing. The host cannot come from a caller."""
    head = _BEGINNING.match(template)
    if head is None:
        return "an address begins with http:// or https:// and the name of a machine, which holds no {braces}"
    if _ODD.search(template):
        return "an address holds no spaces, quotes, angle brackets or backslashes"
    for name in _PLACE.findall(template):
        if name not in PLACES:
            return f"{{{name}}} is not known; there are {', '.join(f'{{{one}}}' for one in PLACES)}"
    if "{" in _PLACE.sub("", template) or "}" in _PLACE.sub("", template):
        return "a brace has no other half"
    return ""


def encoded(value: str) -> str:
    """Percent-encoded: nothing of `value` means anything in an address."""
    return "".join(
        chr(byte) if byte in _UNRESERVED else f"%{byte:02X}" for byte in value.encode("utf-8", errors="replace")
    )


def page_address(template: str, values: Mapping[str, str]) -> str:
    """The template (`template_trouble` found none) with its places filled. Empty stays empty."""
    return _PLACE.sub(lambda found: encoded(values.get(found[1], "")), template)


# ---- what the other system answers about a number


class OddAnswer(ValueError):
    """The answer is not what was agreed; the words say where."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutsideCustomer:
    """One customer as the other system has it. `reference` is its own number of the customer, never empty."""

    reference: str
    name: str
    tier: str = ""
    language: str = ""
    company: str = ""
    phones: tuple[str, ...] = ()
    notes: str = ""
    url: str = field(default="", repr=False)
    """The customer's page over there; http or https; empty: the centre's template is used."""


MOST_CUSTOMERS = 10
MOST_PHONES = 20
_TEXTS = {
    "reference": 100,
    "name": 200,
    "tier": 40,
    "language": 20,
    "company": 200,
    "notes": 8000,
    "url": LONGEST_ADDRESS,
}
"""The fields that are text, and how long each may be."""
_TIER = re.compile(r"[a-z][a-z0-9_]{0,31}")


def customers_of(body: Any) -> tuple[OutsideCustomer, ...]:
    """The customers of an answer `{customers: [...]}`. Raises `OddAnswer`; an answer is taken whole or not at all.

    More than `MOST_CUSTOMERS` are cut off: nobody can choose among more while the telephone rings. Fields nobody agreed on
    are passed over, so that the other system may grow.
    """
    if not isinstance(body, Mapping) or not isinstance(rows := body.get("customers"), list):
        raise OddAnswer("the answer is not {customers: [...]}")
    found = [_customer(row, place) for place, row in enumerate(rows[:MOST_CUSTOMERS])]
    return tuple({one.reference: one for one in found}.values())


def _customer(row: Any, place: int) -> OutsideCustomer:
    if not isinstance(row, Mapping):
        raise OddAnswer(f"customers[{place}] is not an object")
    texts = {name: _text(row, name, most, place) for name, most in _TEXTS.items()}
    for name in ("reference", "name"):
        if not texts[name]:
            raise OddAnswer(f"customers[{place}].{name} is missing")
    if texts["tier"] and not _TIER.fullmatch(texts["tier"]):
        raise OddAnswer(f"customers[{place}].tier is not a name such as vip")
    if texts["url"] and (not _BEGINNING.match(texts["url"]) or _ODD.search(texts["url"])):
        raise OddAnswer(f"customers[{place}].url is not an address of the web")
    phones = row.get("phones") or []
    if not isinstance(phones, list) or len(phones) > MOST_PHONES:
        raise OddAnswer(f"customers[{place}].phones is not a list of at most {MOST_PHONES}")
    for one in phones:
        if not isinstance(one, str) or not 0 < len(one) <= 40 or not _storable(one, lines=False):
            raise OddAnswer(f"customers[{place}].phones holds something that is no number")
    return OutsideCustomer(**texts, phones=tuple(phones))


def _text(row: Mapping[str, Any], name: str, most: int, place: int) -> str:
    value = row.get(name)
    if value is None:
        return ""
    if isinstance(value, int) and not isinstance(value, bool) and name == "reference":
        value = str(value)
    if not isinstance(value, str) or len(value) > most:
        raise OddAnswer(f"customers[{place}].{name} is not text of at most {most} signs")
    if not _storable(value, lines=name == "notes"):
        raise OddAnswer(f"customers[{place}].{name} holds signs that cannot be kept")
    return value.strip()


def _storable(value: str, *, lines: bool) -> bool:
    """Whether there are no control characters in it (but line ends, where `lines`) and no half of a sign."""
    return not any(
        (ord(sign) < 32 and not (lines and sign in "\n\r\t"))
        or 0x7F <= ord(sign) < 0xA0
        or 0xD800 <= ord(sign) < 0xE000
        for sign in value
    )
