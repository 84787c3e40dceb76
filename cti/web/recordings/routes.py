"""Recordings: lists, one with its marks, its sound and waveform; and what is done with one that is being made.

Whoever hears a recording is written into the audit log before the first byte goes out.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from functools import wraps

from aiohttp import hdrs, web

from cti.errors import CtiError, RemoteError
from cti.ids import CallId, QueueName
from cti.services.floor import Refused
from cti.services.recordings import (
    Listener,
    NoRecording,
    RecordingNow,
    RecordingRooms,
    RecordingRow,
    RecordingStory,
    Wanted,
    may,
)
from cti.web.agent.schemas import CallParams
from cti.web.auth.guard import session_of
from cti.web.auth.own_queues import queues_told
from cti.web.auth.page_tokens import call_of_token, page_token
from cti.web.auth.permissions import Role
from cti.web.deps import DEPS
from cti.web.errors import ApiError
from cti.web.operations import Operation
from cti.web.recordings.schemas import (
    ActBody,
    PageEventAnswer,
    PageEventBody,
    PeaksAnswer,
    RecordingAnswer,
    RecordingDetail,
    RecordingList,
    RecordingNowAnswer,
    RecordingParams,
    RecordingsQuery,
)
from cti.web.wire import read_body, read_path, read_query, reply

BLOCK = 256 * 1024
HEARD_AGAIN = 600.0
"""Seconds after which another stretch of the same sound, for the same person, is another listening."""
AWAY = {503: "the database, or the place of recordings, is away"}
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def _rooms(request: web.Request) -> RecordingRooms:
    found = request.app[DEPS].recordings
    if found is None:
        raise ApiError(503, "no_recordings", "there are no recordings here", remedy="run the server with its database")
    return found


def telling(handler: Handler) -> Handler:
    """Turn what goes wrong with recordings into answers."""

    @wraps(handler)
    async def told(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except NoRecording as error:
            raise ApiError(404, "no_recording", error.message, remedy="it may be deleted by now") from error
        except Refused as error:
            status = 404 if error.error_id == "unknown_call" else 409
            raise ApiError(status, error.error_id, error.message, remedy=error.remedy) from error
        except (ApiError, RemoteError):
            raise
        except CtiError as error:
            raise ApiError(503, error.error_id, error.message, remedy=error.remedy) from error

    return told


def _listener(request: web.Request) -> Listener:
    session = session_of(request)
    role, agent_id = session.account.role, session.account.agent_id
    scope = queues_told(request)
    if scope is None:
        return Listener(role=role.value, agent_id=agent_id, queues=())
    # No queue is called "": whoever has none at all hears nothing.
    return Listener(role=Role.SUPERVISOR.value, agent_id=agent_id, queues=scope or ("",))


async def _story(request: web.Request) -> RecordingStory:
    """The recording that is asked for. Raises `ApiError`: unknown, or not for whoever asks."""
    recording_id = read_path(request, RecordingParams).recording_id
    rooms = _rooms(request)
    story = await rooms.recordings.one(recording_id)
    if story is None:
        raise ApiError(
            404, "unknown_recording", "there is no such recording", remedy="it is stored a moment after it began"
        )
    if not may(_listener(request), story.row, own=rooms.own):
        raise ApiError(
            403, "not_yours_to_hear", "this recording is not for you", remedy="ask a supervisor of its queue"
        )
    return story


def _answer(request: web.Request, row: RecordingRow) -> RecordingAnswer:
    told = asdict(row)
    told.pop("path")
    told["agents"] = list(row.agents or ([row.agent] if row.agent else []))
    if row.state == "running" and row.call_id not in request.app[DEPS].floor.view().calls:
        told["state"] = "checking"
    return RecordingAnswer.model_validate(told)


@telling
async def some(request: web.Request) -> web.StreamResponse:
    """A page of recordings that whoever asks may hear."""
    query, listener, rooms = read_query(request, RecordingsQuery), _listener(request), _rooms(request)
    agent_id = query.agent_id
    if listener.role == Role.AGENT:
        if not rooms.own or agent_id not in (None, listener.agent_id):
            return reply(RecordingList(recordings=[], next_before=None))
        agent_id = listener.agent_id
    rows = await rooms.recordings.find(
        Wanted(
            call_id=CallId(query.call_id) if query.call_id else None,
            queue=query.queue,
            queues=listener.queues if listener.role == Role.SUPERVISOR else (),
            agent_id=agent_id,
            kind=query.kind,
            state=query.state,
            since=query.since,
            until=query.until,
            before=query.before,
            limit=query.limit,
        )
    )
    more = rows[-1].recording_id if len(rows) == query.limit else None
    return reply(RecordingList(recordings=[_answer(request, row) for row in rows], next_before=more))


@telling
async def one(request: web.Request) -> web.StreamResponse:
    """One recording with its marks."""
    story = await _story(request)
    told = _answer(request, story.row).model_dump()
    marks = [asdict(mark) for mark in story.marks]
    return reply(RecordingDetail.model_validate({**told, "marks": marks, "pauses": list(story.pauses)}))


@telling
async def peaks(request: web.Request) -> web.StreamResponse:
    """The waveform."""
    story = await _story(request)
    found = await _rooms(request).recordings.peaks(story.row)
    return reply(PeaksAnswer(seconds=found.seconds, channels=[list(one) for one in found.channels]))


async def _heard(request: web.Request, row: RecordingRow, start: int) -> None:
    """Write a listening down: each beginning, and a stretch after a long time."""
    session, heard, now = session_of(request), _rooms(request).heard, time.monotonic()
    key = (session.account.username, row.recording_id)
    last = heard.get(key)
    if start > 0 and last is not None and now - last < HEARD_AGAIN:
        return
    acts = request.app[DEPS].acts
    if acts is not None:
        await acts.acted(
            by=session.account.username,
            role=session.account.role.value,
            act="recording_sound",
            subject=f"recording:{row.recording_id}",
            queue=QueueName(row.queue) if row.queue else None,
        )
    heard[key] = now
    for old in [one for one, at in heard.items() if now - at > HEARD_AGAIN]:
        del heard[old]


@telling
async def sound(request: web.Request) -> web.StreamResponse:
    """The sound, whole or a range of bytes."""
    return await send_sound(request, (await _story(request)).row)


async def sound_of_task(request: web.Request, place: str, path: str) -> web.StreamResponse | None:
    """What a task tells of, where its file lies elsewhere or sealed; None: nobody knows it. Whose it is the task has said."""
    rooms, kind = request.app[DEPS].recordings, {"voicemail": "voicemail", "recording": "message"}.get(place)
    if rooms is None or kind is None or not path:
        return None
    story = await rooms.recordings.one(f"{kind}-{path.removesuffix('.wav')}")
    return await send_sound(request, story.row) if story is not None else None


async def send_sound(request: web.Request, row: RecordingRow) -> web.StreamResponse:
    """The sound of a recording that whoever asks may hear; written into the audit log."""
    found = await _rooms(request).recordings.sound(row)
    try:
        asked = request.http_range
        start, stop, _ = asked.indices(found.size)
    except ValueError:
        start, stop = 0, 0
        asked = slice(0, 0)
    partial = asked.start is not None or asked.stop is not None
    headers = {hdrs.ACCEPT_RANGES: "bytes", hdrs.CACHE_CONTROL: "private, no-store", hdrs.CONTENT_TYPE: "audio/wav"}
    if stop <= start:
        raise ApiError(
            416, "no_such_range", "there is no such range of bytes", remedy="ask for bytes within the file",
            headers={hdrs.CONTENT_RANGE: f"bytes */{found.size}"},
        )  # fmt: skip
    if partial:
        headers[hdrs.CONTENT_RANGE] = f"bytes {start}-{stop - 1}/{found.size}"
    response = web.StreamResponse(status=206 if partial else 200, headers=headers)
    response.content_length = stop - start
    if request.method == hdrs.METH_HEAD:
        await response.prepare(request)
        return response
    first = await found.read(start, min(start + BLOCK, stop))  # what cannot be read is an error, not half an answer
    await _heard(request, row, start)
    await response.prepare(request)
    await response.write(first)
    for at in range(start + BLOCK, stop, BLOCK):
        await response.write(await found.read(at, min(at + BLOCK, stop)))
    await response.write_eof()
    return response


# -- live calls --------------------------------------------------------------------------------------------------------


def _allowed(request: web.Request, now: RecordingNow) -> None:
    """Raises `ApiError` for a call that is not the asker's."""
    listener = _listener(request)
    if listener.role == Role.AGENT:
        if listener.agent_id not in now.agents:
            raise ApiError(403, "not_your_call", "you are not in this call", remedy="nothing to do: it is another's")
    elif listener.role == Role.SUPERVISOR and listener.queues and now.queue not in listener.queues:
        raise ApiError(
            403, "not_your_queue", "this call is of a queue that is not yours", remedy="ask a supervisor of it"
        )


def _now(request: web.Request, now: RecordingNow) -> web.Response:
    return reply(
        RecordingNowAnswer(
            call_id=now.call_id,
            live=True,
            recording=now.recording,
            paused=now.paused,
            paused_until=now.paused_until,
            on_demand=now.on_demand,
            page_token=page_token(request.app[DEPS].session_key, now.call_id),
        )
    )


@telling
async def present(request: web.Request) -> web.StreamResponse:
    """What is being done with a call's recording.

    A call that is over, or was never there, or that the agent is not in (yet, or any more) is an answer too: a page that
    looks every few seconds looks once too early or too late."""
    call_id, listener = CallId(read_path(request, CallParams).call_id), _listener(request)
    try:
        found = _rooms(request).control.now(call_id)
    except Refused as error:
        if error.error_id != "unknown_call":
            raise
        return reply(_nothing_of(call_id))
    if listener.role == Role.AGENT and listener.agent_id not in found.agents:
        return reply(_nothing_of(call_id))
    _allowed(request, found)
    return _now(request, found)


def _nothing_of(call_id: CallId) -> RecordingNowAnswer:
    return RecordingNowAnswer(
        call_id=call_id,
        live=False,
        recording=False,
        paused=False,
        paused_until=None,
        on_demand=False,
        page_token="",
    )


@telling
async def act(request: web.Request) -> web.StreamResponse:
    """Begin, end, pause or resume."""
    call_id, body = CallId(read_path(request, CallParams).call_id), await read_body(request, ActBody)
    control, session = _rooms(request).control, session_of(request)
    before = control.now(call_id)
    _allowed(request, before)
    after = await control.act(call_id, body.action, by=session.account.username, why=body.by)
    acts = request.app[DEPS].acts
    if acts is not None and (before.recording, before.paused) != (after.recording, after.paused):
        await acts.acted(
            by=session.account.username,
            role=session.account.role.value,
            act="call_recording_act",
            subject=f"call:{call_id}",
            queue=after.queue,
            before={"recording": _word(before)},
            after={"recording": _word(after)},
        )
    return _now(request, after)


def _word(now: RecordingNow) -> str:
    return "off" if not now.recording else "paused" if now.paused else "on"


@telling
async def page_event(request: web.Request) -> web.StreamResponse:
    """A page of another system pauses or resumes; its token names the call."""
    body = await read_body(request, PageEventBody)
    call_id = call_of_token(request.app[DEPS].session_key, body.token)
    if call_id is None:
        raise ApiError(403, "bad_token", "this token is not valid", remedy="take page_token of the live call")
    now = await _rooms(request).control.act(call_id, body.action, by="page", why="page")
    return reply(PageEventAnswer(recording=now.recording, paused=now.paused, paused_until=now.paused_until))


_UNKNOWN = {403: "not_yours_to_hear", 404: "unknown_recording", **AWAY}
_LIVE = {
    403: "not_your_call or not_your_queue",
    404: "unknown_call: it is not live",
    409: "not_recording, not_on_demand or caller_refused; nothing changed",
    503: "Asterisk does not answer: nothing is claimed",
}

OPERATIONS = (
    Operation(
        name="recordings",
        method=hdrs.METH_GET,
        path="/api/v1/recordings",
        handler=some,
        summary="Recordings one may hear, the latest first",
        query=RecordingsQuery,
        answer=RecordingList,
        errors=AWAY,
    ),
    Operation(
        name="recording",
        method=hdrs.METH_GET,
        path="/api/v1/recordings/{recording_id}",
        handler=one,
        summary="One recording, with marks to jump to and what was paused",
        params=RecordingParams,
        answer=RecordingDetail,
        errors=_UNKNOWN,
    ),
    Operation(
        name="recording_sound",
        method=hdrs.METH_GET,
        path="/api/v1/recordings/{recording_id}/sound",
        handler=sound,
        summary="The sound as WAV, whole or a range of bytes; the listening is written into the audit log",
        params=RecordingParams,
        answer=str,
        media=("audio/wav",),
        errors={**_UNKNOWN, 404: "unknown_recording or no_recording", 416: "no_such_range"},
    ),
    Operation(
        name="recording_peaks",
        method=hdrs.METH_GET,
        path="/api/v1/recordings/{recording_id}/peaks",
        handler=peaks,
        summary="The waveform: the loudest sample of each stretch, by channel",
        params=RecordingParams,
        answer=PeaksAnswer,
        errors={**_UNKNOWN, 404: "unknown_recording or no_recording"},
    ),
    Operation(
        name="call_recording",
        method=hdrs.METH_GET,
        path="/api/v1/calls/{call_id}/recording",
        handler=present,
        summary="Whether a live call is being recorded, or its recording is paused",
        params=CallParams,
        answer=RecordingNowAnswer,
        errors={403: "not_your_queue", 503: "no_recordings: there are none here"},
    ),
    Operation(
        name="call_recording_act",
        method=hdrs.METH_POST,
        path="/api/v1/calls/{call_id}/recording",
        handler=act,
        summary="Begin, end, pause or resume the recording of a live call",
        params=CallParams,
        body=ActBody,
        answer=RecordingNowAnswer,
        errors=_LIVE,
    ),
    Operation(
        name="recording_event",
        method=hdrs.METH_POST,
        path="/api/v1/recording-events",
        handler=page_event,
        summary="A page of another system pauses or resumes a call's recording, by the call's page_token",
        body=PageEventBody,
        answer=PageEventAnswer,
        errors={403: "bad_token", 404: _LIVE[404], 409: "not_recording", 503: _LIVE[503]},
    ),
)
