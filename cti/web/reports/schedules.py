"""Kept reports by mail: which, when, to whom, and what came of each."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

from aiohttp import hdrs, web
from pydantic import Field

from cti.services.report_desk import DeskRefused, FileFormat, MailState, Rhythm, Schedule, ScheduleWish
from cti.web.auth.acts import tell
from cti.web.auth.guard import session_of
from cti.web.auth.own_queues import scope_asked
from cti.web.deps import DEPS
from cti.web.errors import ApiError
from cti.web.operations import Answer, Body, Done, Operation
from cti.web.reports.asking import AWAY, Language, NumberParams, desk, telling, user
from cti.web.wire import read_body, read_path, reply

_ONE = "/api/v1/reports/schedules/{number:[0-9]+}"


class ScheduleBody(Body):
    """What is wanted. `day`: weekly 1 (Monday) to 7, monthly 1 to 28, daily 1. `at` is by the centre's clock."""

    report_id: Annotated[int, Field(ge=1, le=2**62)]
    rhythm: Rhythm
    day: Annotated[int, Field(ge=1, le=28)] = 1
    at: Annotated[str, Field(pattern=r"^\d{2}:\d{2}$")]
    format: FileFormat
    language: Language
    to: Annotated[list[Annotated[str, Field(max_length=254)]], Field(max_length=50)]
    active: bool = True

    def wish(self) -> ScheduleWish:
        """As the desk has it."""
        return ScheduleWish(
            report_id=self.report_id,
            rhythm=self.rhythm,
            day=self.day,
            at=self.at,
            format=self.format,
            language=self.language,
            to=tuple(dict.fromkeys(self.to)),
            active=self.active,
        )


class DeliveryRow(Answer):
    """One mail. `unknown`: it may have been sent, and is not sent again by itself."""

    due_at: datetime
    state: MailState
    attempts: int
    next_at: datetime | None
    sent_at: datetime | None
    trouble: str


class ScheduleRow(Answer):
    """A kept report that is mailed; the latest mails first."""

    schedule_id: int
    report_id: int
    name: str
    rhythm: Rhythm
    day: int
    at: str
    format: FileFormat
    language: str
    to: list[str]
    active: bool
    author: str
    next_at: datetime | None
    deliveries: list[DeliveryRow]


class ScheduleList(Answer):
    """Every schedule. `mail`: whether there is a mail server."""

    schedules: list[ScheduleRow]
    mail: bool
    zone: str


def _row(one: Schedule) -> ScheduleRow:
    wish = one.wish
    return ScheduleRow(
        schedule_id=one.schedule_id, report_id=wish.report_id, name=one.name, rhythm=wish.rhythm, day=wish.day, at=wish.at,
        format=wish.format, language=wish.language, to=list(wish.to), active=wish.active, author=one.author, next_at=one.next_at,
        deliveries=[
            DeliveryRow(
                due_at=mail.due_at, state=mail.state, attempts=mail.attempts, next_at=mail.next_at, sent_at=mail.sent_at,
                trouble=mail.trouble,
            )
            for mail in one.deliveries
        ],
    )  # fmt: skip


def _words(one: Schedule) -> dict[str, str]:
    wish = one.wish
    when = f"{wish.rhythm.value} {wish.day} {wish.at}"
    return {"when": when, "to": ", ".join(wish.to), "format": wish.format.value, "active": str(wish.active).lower()}


def _check_token(request: web.Request) -> None:
    """A mail is over all queues of whoever it is by, so a token for some of them has none sent. Raises `ApiError` 403."""
    token = session_of(request).token
    if token is not None and token.queues:
        raise ApiError(
            403,
            "outside_scopes",
            "a token for certain queues mails nothing: mails are over all queues of its owner",
            remedy="make a token without queues on the page /account, or log in",
        )


async def _mine(request: web.Request) -> Sequence[Schedule]:
    """All of them; for whoever has certain queues, those of their own making: others may be of more queues."""
    found = await desk(request).schedules()
    return found if scope_asked(request) is None else [one for one in found if one.author == user(request)]


async def _check_mine(request: web.Request, number: int) -> None:
    if scope_asked(request) is not None and all(one.schedule_id != number for one in await _mine(request)):
        raise DeskRefused("unknown_schedule", "there is no such schedule", status=404, remedy="reload the page")


@telling
async def schedules(request: web.Request) -> web.Response:
    """Every schedule."""
    found = await _mine(request)
    zone = request.app[DEPS].centre.time_zone
    return reply(ScheduleList(schedules=[_row(one) for one in found], mail=desk(request).mails(), zone=zone))


@telling
async def add(request: web.Request) -> web.Response:
    """Mail a report from now on."""
    _check_token(request)
    body = await read_body(request, ScheduleBody)
    made = await desk(request).schedule(user(request), body.wish())
    tell(request, subject=made.name, after=_words(made))
    return reply(_row(made))


@telling
async def change(request: web.Request) -> web.Response:
    """Change how a report is mailed."""
    _check_token(request)
    number = read_path(request, NumberParams).number
    body = await read_body(request, ScheduleBody)
    await _check_mine(request, number)
    before = next((one for one in await desk(request).schedules() if one.schedule_id == number), None)
    made = await desk(request).schedule(user(request), body.wish(), schedule_id=number)
    tell(request, subject=made.name, before=_words(before) if before else None, after=_words(made))
    return reply(_row(made))


@telling
async def remove(request: web.Request) -> web.Response:
    """Stop mailing."""
    number = read_path(request, NumberParams).number
    await _check_mine(request, number)
    gone = await desk(request).unschedule(number)
    tell(request, subject=gone.name, before=_words(gone))
    return reply(Done())


@telling
async def send(request: web.Request) -> web.Response:
    """Send one now."""
    _check_token(request)
    number = read_path(request, NumberParams).number
    await _check_mine(request, number)
    await desk(request).send_now(number)
    tell(request, subject=str(number))
    return reply(Done())


OPERATIONS = (
    Operation(
        name="report_schedules",
        method=hdrs.METH_GET,
        path="/api/v1/reports/schedules",
        handler=schedules,
        summary="Reports that are mailed, and what came of the latest mails",
        answer=ScheduleList,
        errors=AWAY,
    ),
    Operation(
        name="report_schedule_add",
        method=hdrs.METH_POST,
        path="/api/v1/reports/schedules",
        handler=add,
        summary="Mail a kept report from now on",
        body=ScheduleBody,
        answer=ScheduleRow,
        errors={400: "bad_schedule, bad_address", 404: "unknown_report", **AWAY},
    ),
    Operation(
        name="report_schedule_change",
        method=hdrs.METH_PUT,
        path=_ONE,
        handler=change,
        summary="Change how a report is mailed; times that have passed are not made up for",
        params=NumberParams,
        body=ScheduleBody,
        answer=ScheduleRow,
        errors={400: "bad_schedule, bad_address", 404: "unknown_report, unknown_schedule", **AWAY},
    ),
    Operation(
        name="report_schedule_remove",
        method=hdrs.METH_DELETE,
        path=_ONE,
        handler=remove,
        summary="Stop mailing a report",
        params=NumberParams,
        answer=Done,
        errors={404: "unknown_schedule", **AWAY},
    ),
    Operation(
        name="report_send",
        method=hdrs.METH_POST,
        path=_ONE + "/send",
        handler=send,
        summary="Send one now, besides what is due",
        params=NumberParams,
        answer=Done,
        errors={404: "unknown_schedule", 409: "no_mail", **AWAY},
    ),
)
