"""What may stand in a customer's fields. One set of rules for people who type, programs that send, and files."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import Any
from zoneinfo import available_timezones

from cti.crm.numbers import normalise
from cti.services.customer_file import CHANNELS, CustomerRefused, CustomField, FieldProblem

LONGEST = {
    "name": 200, "company": 200, "reference": 100, "email": 254, "notes": 8000, "tier_reason": 500, "own_agent": 6,
}  # fmt: skip
LONGEST_NOTE = 8000
MOST_PHONES = 20
MOST_TAGS = 50
MOST_ADDRESSES = 10
LONGEST_TAG = 40
LONGEST_FIELD = 1000
ADDRESS_PARTS = ("label", "street", "city", "region", "postal_code", "country")

EDITABLE = (
    "kind", "name", "reference", "tier", "tier_reason", "language", "time_zone", "company", "company_id", "email",
    "own_agent", "notes", "tags", "fields", "phones", "addresses", "consents",
)  # fmt: skip
"""Fields of a customer that people and programs may set."""


class Unfit(Exception):
    """A value does not fit; the words say what does. `problem` and `values`: see `FieldProblem`."""

    def __init__(self, problem: str, message: str, **values: str | int) -> None:
        super().__init__(message)
        self.problem, self.message, self.values = problem, message, values

    def about(self, field: str) -> FieldProblem:
        """As a problem with this field."""
        return FieldProblem(field=field, message=self.message, problem=self.problem, values=self.values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What values are checked against."""

    region: str
    """Where national numbers are read, ISO 3166."""
    custom: Mapping[str, CustomField]
    now: datetime
    by: str


def checked(values: Mapping[str, Any], rules: Rules) -> dict[str, Any]:
    """The values as they are kept, in plain JSON types; null in `fields` empties one. Raises `CustomerRefused` naming every field that does not fit."""
    out: dict[str, Any] = {}
    problems: list[FieldProblem] = []
    for name, value in values.items():
        check = _CHECKS.get(name)
        if check is None:
            problems.append(FieldProblem(field=name, message="a customer has no such field", problem="no_such_field"))
            continue
        try:
            out[name] = check(value, rules)
        except Unfit as error:
            problems.append(error.about(name))
    if problems:
        raise CustomerRefused(
            "invalid_customer",
            f"{problems[0].field}: {problems[0].message}",
            remedy="correct the fields named in details",
            problems=problems,
        )
    return out


def text(value: Any, longest: int, *, lines: bool = False) -> str:
    """Text without what cannot be kept. Nothing is taken away silently but space around it."""
    if not isinstance(value, str):
        raise Unfit("text_needed", "text is needed")
    if "\0" in value:
        raise Unfit("unkept_sign", "the sign U+0000 cannot be kept; take it out")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise Unfit("unkept_sign", "half of a pair of signs (a lone surrogate) cannot be kept; take it out") from None
    kept = value.strip()
    if not lines and re.search(r"[\r\n]", kept):
        raise Unfit("one_line", "this is one line")
    if len(kept) > longest:
        raise Unfit("too_long", f"at most {longest} signs; these are {len(kept)}", most=longest, are=len(kept))
    return kept


def note_text(value: str) -> str:
    """The text of a note. Raises `CustomerRefused`."""
    try:
        kept = text(value, LONGEST_NOTE, lines=True)
    except Unfit as error:
        raise CustomerRefused(
            "invalid_note", str(error), remedy="shorten or correct it", problems=[error.about("text")]
        ) from None
    if not kept:
        raise CustomerRefused("invalid_note", "a note needs some text", remedy="write something")
    return kept


def _line(name: str) -> Callable[[Any, Rules], str]:
    def check(value: Any, rules: Rules) -> str:
        return text(value, LONGEST[name])

    return check


def _name(value: Any, rules: Rules) -> str:
    kept = text(value, LONGEST["name"])
    if not kept:
        raise Unfit("name_needed", "a customer needs a name")
    return kept


def _matching(pattern: str, problem: str, words: str) -> Callable[[Any, Rules], str]:
    def check(value: Any, rules: Rules) -> str:
        kept = text(value, 254)
        if not re.fullmatch(pattern, kept):
            raise Unfit(problem, words)
        return kept

    return check


@cache
def _zones() -> Mapping[str, str]:
    return {name.lower(): name for name in available_timezones()}


def _zone(value: Any, rules: Rules) -> str:
    kept = text(value, 64)
    if not kept:
        return ""
    found = _zones().get(kept.lower().replace(" ", "_"))
    if found is None:
        raise Unfit("wrong_zone", "a time zone's name is needed, as Europe/Oslo or Asia/Shanghai")
    return found


def _company_id(value: Any, rules: Rules) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 2**63:
        raise Unfit("wrong_company", "the number of a customer is needed, or null")
    return value


def _list(value: Any, most: int, what: str) -> Sequence[Any]:
    if not isinstance(value, list | tuple):
        raise Unfit("list_needed", f"a list of {what} is needed")
    if len(value) > most:
        raise Unfit("too_many", f"at most {most} {what}", most=most)
    return value


def _tags(value: Any, rules: Rules) -> list[str]:
    tags = {text(one, LONGEST_TAG) for one in _list(value, MOST_TAGS, "tags")}
    if any("," in one or ";" in one for one in tags):
        raise Unfit("comma_in_tag", "a tag has no comma or semicolon in it")
    return sorted(tags - {""})


def _mapping(value: Any, keys: Sequence[str], what: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise Unfit("list_needed", f"each {what} is an object")
    unknown = sorted(set(map(str, value)) - set(keys))
    if unknown:
        raise Unfit("no_such_part", f"no {what} has {unknown[0][:40]!r}", part=unknown[0][:40])
    return value


def _phones(value: Any, rules: Rules) -> list[dict[str, str]]:
    out: dict[str, dict[str, str]] = {}
    for given in _list(value, MOST_PHONES, "numbers"):
        one = _mapping(given, ("raw", "label", "number"), "number")
        raw = text(one.get("raw") or one.get("number") or "", 60)
        number = normalise(raw, rules.region)
        if number is None or not re.search(r"\d", raw):
            raise Unfit("no_phone", f"{raw[:40]!r} is no telephone number", text=raw[:40])
        if len(number) > 18:
            raise Unfit("phone_too_long", f"{raw[:40]!r} has too many digits for a telephone number", text=raw[:40])
        # the same number written twice is one number; the first writing stays
        out.setdefault(number, {"number": number, "raw": raw, "label": text(one.get("label", ""), 40)})
    return list(out.values())


def _addresses(value: Any, rules: Rules) -> list[dict[str, str]]:
    out = []
    for given in _list(value, MOST_ADDRESSES, "addresses"):
        one = _mapping(given, ADDRESS_PARTS, "address")
        kept = {part: text(one.get(part, ""), 200, lines=part == "street") for part in ADDRESS_PARTS}
        if any(kept[part] for part in ADDRESS_PARTS[1:]):
            out.append(kept)
    return out


def _consents(value: Any, rules: Rules) -> list[dict[str, str]]:
    out: dict[str, dict[str, str]] = {}
    for given in _list(value, len(CHANNELS), "consents"):
        one = _mapping(given, ("channel", "status", "at", "how", "by"), "consent")
        channel, status = one.get("channel"), one.get("status")
        if channel not in CHANNELS:
            raise Unfit("wrong_consent", f"the channel is one of {', '.join(CHANNELS)}")
        if status not in ("granted", "refused"):
            raise Unfit("wrong_consent", "the status is granted or refused")
        if channel in out:
            raise Unfit("consent_twice", f"{channel} is there twice", channel=channel)
        out[channel] = {
            "channel": channel,
            "status": status,
            "at": _moment(one.get("at"), rules.now).isoformat(),
            "how": text(one.get("how") or "", 200),
            "by": text(one.get("by") or rules.by, 100),
        }
    return [out[channel] for channel in CHANNELS if channel in out]


def _moment(value: Any, now: datetime) -> datetime:
    if value in (None, ""):
        return now
    words = "the time of a consent is written as 2026-03-01T09:30:00Z"
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(text(value, 40))
    except ValueError:
        raise Unfit("wrong_moment", words) from None
    if not 1900 <= moment.year <= 2200:
        raise Unfit("wrong_moment", words)
    try:
        return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except OverflowError:
        raise Unfit("wrong_moment", "the time of a consent is out of range") from None


def _fields(value: Any, rules: Rules) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise Unfit("list_needed", "an object is needed: the centre's own fields by name")
    out = {}
    for name, one in value.items():
        field = rules.custom.get(name)
        if field is None:
            known = ", ".join(rules.custom) or "none are defined"
            raise Unfit("no_own_field", f"this centre has no field {str(name)[:40]!r} ({known})", name=str(name)[:40])
        out[name] = field_value(field, one)
    return out


def field_value(field: CustomField, value: Any) -> Any:
    """A value of one of the centre's own fields as it is kept; None when it is empty. Raises `Unfit`."""
    if value is None or value == "":
        return None
    if field.kind == "number":
        return _number(field, value)
    kept = text(value, LONGEST_FIELD, lines=field.kind == "text") if isinstance(value, str) else None
    if kept is None:
        raise Unfit("own_text", f"{field.name}: text is needed", name=field.name)
    if not kept:
        return None
    if field.kind == "choice" and kept not in field.choices:
        raise Unfit(
            "own_choice",
            f"{field.name}: one of {', '.join(field.choices)}",
            name=field.name,
            choices=", ".join(field.choices),
        )
    if field.kind == "date":
        try:
            return date.fromisoformat(kept).isoformat()
        except ValueError:
            raise Unfit("own_date", f"{field.name}: a date is written as 2026-03-01", name=field.name) from None
    return kept


def _number(field: CustomField, value: Any) -> int | float:
    words = f"{field.name}: a number is needed, as 1250 or 12.5"
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise Unfit("own_number", words, name=field.name)
    try:
        number = Decimal(value.strip() if isinstance(value, str) else str(value))
    except InvalidOperation:
        raise Unfit("own_number", words, name=field.name) from None
    if not number.is_finite() or abs(number) >= 10**15:
        raise Unfit("own_too_large", f"{field.name}: the number is too large", name=field.name)
    return int(number) if number == number.to_integral_value() else float(number)


_CHECKS: Mapping[str, Callable[[Any, Rules], Any]] = {
    "kind": _matching("person|company", "wrong_kind", "person or company"),
    "name": _name,
    "reference": _line("reference"),
    "tier": _matching(r"[a-z][a-z0-9_-]{0,31}", "wrong_tier", "the name of a tier, as vip or regular"),
    "tier_reason": _line("tier_reason"),
    "language": _matching(r"([a-z]{2,3}(-[A-Za-z]{2,4})?)?", "wrong_language", "a language's code, as en or zh"),
    "time_zone": _zone,
    "company": _line("company"),
    "company_id": _company_id,
    "email": _matching(r"([^@\s]{1,64}@[^@\s]{1,189})?", "wrong_email", "an e-mail address, as name@example.com"),
    "own_agent": _matching(r"([0-9]{2,6})?", "wrong_agent", "an agent's extension, 2 to 6 digits"),
    "notes": lambda value, rules: text(value, LONGEST["notes"], lines=True),
    "tags": _tags,
    "fields": _fields,
    "phones": _phones,
    "addresses": _addresses,
    "consents": _consents,
}


def checked_fields(fields: Sequence[CustomField]) -> tuple[CustomField, ...]:
    """Definitions of the centre's own fields. Raises `CustomerRefused`."""
    problems: list[FieldProblem] = []
    seen: set[str] = set()

    def wrong(one: CustomField, problem: str, message: str) -> None:
        problems.append(
            FieldProblem(field=one.name[:40], message=message, problem=problem, values={"name": one.name[:40]})
        )

    for one in fields:
        if not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", one.name):
            wrong(one, "field_name", "a name has small letters, digits and _, and begins with a letter")
        if one.name in seen:
            wrong(one, "field_twice", "this name is there twice")
        if not one.title.strip() or "\0" in one.title:
            wrong(one, "field_title", "a title for people is needed")
        if (one.kind == "choice") != bool(one.choices):
            wrong(one, "field_choices", "a choice has choices, and nothing else has")
        if len(set(one.choices)) < len(one.choices) or any(not c.strip() or "\0" in c for c in one.choices):
            wrong(one, "field_choices_differ", "choices are different, and not empty")
        seen.add(one.name)
    if problems:
        raise CustomerRefused(
            "invalid_fields",
            f"{problems[0].field}: {problems[0].message}",
            remedy="correct them",
            problems=problems,
        )
    return tuple(fields)
