"""What customers ask for on the page /contact: to be called back, and to complain. Public, so limited by address and number.

A call that the line cannot take now (its number may not be dialled, the trunk is off) is not lost: it becomes a task.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from aiohttp import hdrs, web
from pydantic import Field

from cti.casework.rows import NewComplaint, WebCallback
from cti.ids import CallId, QueueName
from cti.model.centre import Centre
from cti.services.floor import Refused
from cti.web.auth.attempts import Attempts
from cti.web.casework.asking import AWAY, Line, Text, rooms, telling
from cti.web.deps import DEPS
from cti.web.errors import ApiError
from cti.web.operations import Answer, Body, Operation
from cti.web.wire import read_body, reply

CONSENT = {
    "en": "You may call me back at this number about this request. The call may be recorded.",
    "zh": "我同意贵方就此事拨打该号码回电。通话可能会被录音。",
}
"""What customers agree to; kept with each request in the language they saw."""

ADDRESS_WINDOW = 600.0
NUMBER_WINDOW = 3600.0
"""Seconds."""
_DESK_SECONDS = 5.0
"""How long the floor may take to answer."""
Key = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{8,64}$")]
PhoneLine = Annotated[str, Field(pattern=r"^[0-9+()./ \-]{3,32}$")]


@dataclass(slots=True)
class ContactLimits:
    """Who may ask how often."""

    by_address: Attempts = field(default_factory=lambda: Attempts(10, ADDRESS_WINDOW))
    by_number: Attempts = field(default_factory=lambda: Attempts(5, NUMBER_WINDOW))


LIMITS = web.AppKey("contact_limits", ContactLimits)


class Cause(Answer):
    """Something to complain about."""

    cause: str
    titles: Mapping[str, str]


class ContactInfo(Answer):
    """What the page offers. `queues`: who calls back, with names by language, the first as a rule."""

    name: str
    languages: tuple[str, ...]
    queues: Mapping[str, Mapping[str, str]]
    consent: Mapping[str, str]
    causes: list[Cause]


class WebCallbackBody(Body):
    """A call that is asked for. `key` is the page's own: sent twice, it is one. `consent` must be true."""

    key: Key
    number: PhoneLine
    name: Line = ""
    queue: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")] | None = None
    language: Annotated[str, Field(pattern=r"^[a-z]{2}(-[A-Za-z]+)?$")] = "en"
    about: Text = ""
    consent: bool


class WebCallbackAnswer(Answer):
    """`in_line`: they are called when their turn comes; otherwise somebody calls by hand."""

    in_line: bool


class WebComplaintBody(Body):
    """A complaint. `consent` to be called about it is needed only where a number is given."""

    key: Key
    name: Line = ""
    number: PhoneLine | None = None
    language: Annotated[str, Field(pattern=r"^[a-z]{2}(-[A-Za-z]+)?$")] = "en"
    cause: Annotated[str, Field(pattern=r"^[a-z0-9_/]{0,120}$")] = ""
    subject: Annotated[Line, Field(min_length=3)]
    text: Text = ""
    consent: bool = False


class WebComplaintAnswer(Answer):
    """It is registered under this number."""

    complaint: int


def offered(centre: Centre, chosen: tuple[str, ...]) -> Mapping[QueueName, Mapping[str, str]]:
    """The queues that the page offers: those of the settings, else the one of the centre's first number."""
    names = [QueueName(name) for name in chosen if QueueName(name) in centre.queues]
    if not names:
        first = next(iter(centre.numbers.values()), None)
        names = [first.survival_queue] if first is not None else list(centre.queues)[:1]
    return {name: centre.queues[name].titles for name in names if name in centre.queues}


def _limit(request: web.Request, number: str | None) -> None:
    """Count this request. Raises `ApiError` where there were too many."""
    limits, now = request.app[LIMITS], request.app[DEPS].clock.monotonic()
    keys = [(limits.by_address, request.remote or "")]
    if number:
        keys.append((limits.by_number, "".join(sign for sign in number if sign.isdigit())[-9:]))
    seconds = max(attempts.wait(key, now) for attempts, key in keys)
    if seconds:
        raise ApiError(
            429,
            "too_many_attempts",
            "too much was asked for from here, or for this number",
            remedy=f"wait {seconds} seconds, then try again",
            headers={hdrs.RETRY_AFTER: str(seconds)},
        )
    for attempts, key in keys:
        attempts.add(key, now)


@telling
async def contact(request: web.Request) -> web.Response:
    """What the page offers."""
    deps = request.app[DEPS]
    plain = (await rooms(request).rules.rules("complaints")).body
    found = [
        {"cause": str(cause.get("name")), "titles": dict(cause.get("titles", {}))} for cause in plain.get("causes", ())
    ]
    return reply(
        {
            "name": deps.centre.name,
            "languages": deps.centre.languages,
            "queues": offered(deps.centre, deps.contact_queues),
            "consent": CONSENT,
            "causes": found,
        }
    )


@telling
async def callback(request: web.Request) -> web.Response:
    """Ask to be called back."""
    body, found, deps = await read_body(request, WebCallbackBody), rooms(request), request.app[DEPS]
    if not body.consent:
        raise ApiError(
            400, "no_consent", "nobody is called who did not agree", remedy="agree to be called", details=_at("consent")
        )
    if (before := await found.web.known(body.key)) is not None:
        return reply(WebCallbackAnswer(in_line=before))
    queues = offered(deps.centre, deps.contact_queues)
    queue = QueueName(body.queue) if body.queue else next(iter(queues), QueueName(""))
    if queue not in queues:
        raise ApiError(
            400, "unknown_queue", "nobody calls back from there", remedy="choose one of the list", details=_at("queue")
        )
    if sum(sign.isdigit() for sign in body.number) < 6:
        raise ApiError(
            400, "no_number", "this is no telephone number", remedy="give it with the area code", details=_at("number")
        )
    _limit(request, body.number)
    callback_id: CallId | None = None
    refused = "no_line"
    if found.desk is not None:
        try:
            async with asyncio.timeout(_DESK_SECONDS):
                callback_id = await found.desk.ask_web_callback(
                    number=body.number, queue=queue, language=body.language, key=body.key
                )
            refused = ""
        except Refused as error:
            refused = error.error_id
        except TimeoutError:
            # The floor may have taken it all the same; asked again with this key it would say so, and people see both.
            refused = "no_answer"
    asked = WebCallback(
        key=body.key,
        number=body.number.strip(),
        queue=queue,
        name=body.name.strip(),
        language=body.language,
        about=body.about.strip(),
        consent=CONSENT.get(body.language, CONSENT["en"]),
    )
    await found.web.keep(asked, callback_id=callback_id, refused=refused)
    return reply(WebCallbackAnswer(in_line=callback_id is not None))


@telling
async def complaint(request: web.Request) -> web.Response:
    """Complain."""
    body, found = await read_body(request, WebComplaintBody), rooms(request)
    if body.number and not body.consent:
        raise ApiError(
            400,
            "no_consent",
            "nobody is called who did not agree",
            remedy="agree to be called, or leave the number out",
            details=_at("consent"),
        )
    _limit(request, body.number)
    made, _ = await found.complaints.register(
        NewComplaint(
            source="web",
            key=f"web:{body.key}",
            subject=body.subject,
            text=body.text,
            contact_name=body.name,
            number=body.number,
            language=body.language,
            cause=body.cause,
        ),
        by="",
    )
    return reply(WebComplaintAnswer(complaint=made.complaint.complaint_id))


def _at(field_name: str) -> tuple[Mapping[str, str], ...]:
    return ({"field": field_name, "message": "this is what is missing"},)


OPERATIONS = (
    Operation(
        name="contact",
        method=hdrs.METH_GET,
        path="/api/v1/contact",
        handler=contact,
        summary="What customers may ask for on the web",
        answer=ContactInfo,
        errors=AWAY,
    ),
    Operation(
        name="web_callback",
        method=hdrs.METH_POST,
        path="/api/v1/web-callback",
        handler=callback,
        summary="Ask to be called back",
        body=WebCallbackBody,
        answer=WebCallbackAnswer,
        errors={429: "too_many_attempts", **AWAY},
    ),
    Operation(
        name="web_complaint",
        method=hdrs.METH_POST,
        path="/api/v1/web-complaint",
        handler=complaint,
        summary="Complain",
        body=WebComplaintBody,
        answer=WebComplaintAnswer,
        errors={429: "too_many_attempts", **AWAY},
    ),
)
