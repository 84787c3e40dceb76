"""Tasks: everybody's own queue, and what is said in a voicemail."""

from __future__ import annotations

import contextlib
from typing import Annotated, Literal

from aiohttp import hdrs, web
from pydantic import Field

from cti.casework.rows import NewTask, Work, WorkCounts
from cti.casework.tasks import KINDS
from cti.ids import CallId, CustomerId
from cti.services.recordings import NoRecording
from cti.web.casework.asking import AWAY, Limit, Line, Moment, Name, Number, Text, asker, rooms, telling
from cti.web.errors import ApiError
from cti.web.operations import Answer, Body, Done, Operation, Params
from cti.web.recordings.routes import sound_of_task
from cti.web.wire import read_body, read_path, read_query, reply

_PATH = "/api/v1/tasks/{work_id:(?:task|complaint|follow-up)-[0-9]+}"
_UNKNOWN = {404: "unknown_task", 409: "taken, or ends_otherwise", **AWAY}


class TasksQuery(Params):
    """Which tasks. `kinds`: several with commas; empty: all."""

    kinds: Annotated[str, Field(pattern=r"^[a-z_,]*$")] = ""
    whose: Literal["mine", "free", "both", "all"] = "both"
    later: bool = False
    """What is snoozed or not due yet, too."""
    limit: Limit = 100


class WorkParams(Params):
    """A thing to do."""

    work_id: Annotated[str, Field(pattern=r"^(task|complaint|follow-up)-[0-9]{1,18}$")]


class TaskList(Answer):
    """Tasks, the most pressing first."""

    tasks: list[Work]


class TaskBody(Body):
    """A task of one's own making. Without owner and queue it is the maker's. `key`: sent twice, it is one."""

    kind: Literal["callback", "to_do"] = "to_do"
    title: Annotated[Line, Field(min_length=1)]
    due_at: Moment
    detail: Text = ""
    customer_id: Number | None = None
    number: Line | None = None
    call_id: Line | None = None
    queue: Name | None = None
    owner: Name | None = None
    key: Line | None = None


class EndBody(Body):
    """`dropped`: it will not be done; say why in `note`."""

    note: Text = ""
    dropped: bool = False


class PassBody(Body):
    """To whom: a user's name (an agent's extension), or a queue."""

    owner: Name | None = None
    queue: Name | None = None
    note: Text = ""


class SnoozeBody(Body):
    """Until when."""

    until: Moment


def _work(request: web.Request) -> str:
    return read_path(request, WorkParams).work_id


@telling
async def counts(request: web.Request) -> web.Response:
    """For the footer."""
    return reply(await rooms(request).tasks.counts(asker(request)))


@telling
async def tasks(request: web.Request) -> web.Response:
    """What is to be done."""
    query = read_query(request, TasksQuery)
    kinds = [kind for kind in query.kinds.split(",") if kind]
    if unknown := [kind for kind in kinds if kind not in KINDS]:
        raise ApiError(400, "invalid_input", f"there is no kind {unknown[0]!r}", remedy=f"kinds are {', '.join(KINDS)}")
    found = await rooms(request).tasks.list(
        asker(request), kinds=kinds, whose=query.whose, later=query.later, limit=query.limit
    )
    return reply({"tasks": found})


@telling
async def make(request: web.Request) -> web.Response:
    """Make one."""
    body = await read_body(request, TaskBody)
    task = NewTask(
        kind=body.kind,
        title=body.title,
        due_at=body.due_at,
        detail=body.detail,
        customer_id=CustomerId(body.customer_id) if body.customer_id is not None else None,
        number=body.number,
        call_id=CallId(body.call_id) if body.call_id else None,
        queue=body.queue,
        owner=body.owner,
        key=body.key,
    )
    return reply(await rooms(request).tasks.make(task, by=asker(request)))


@telling
async def take(request: web.Request) -> web.Response:
    """Take it."""
    return reply(await rooms(request).tasks.take(_work(request), by=asker(request)))


@telling
async def done(request: web.Request) -> web.Response:
    """It is done, or will not be."""
    work, body = _work(request), await read_body(request, EndBody)
    await rooms(request).tasks.finish(work, by=asker(request), note=body.note, dropped=body.dropped)
    return reply(Done())


@telling
async def pass_on(request: web.Request) -> web.Response:
    """Give it to somebody else."""
    work, body = _work(request), await read_body(request, PassBody)
    return reply(
        await rooms(request).tasks.pass_on(work, by=asker(request), owner=body.owner, queue=body.queue, note=body.note)
    )


@telling
async def snooze(request: web.Request) -> web.Response:
    """Not before then."""
    work, body = _work(request), await read_body(request, SnoozeBody)
    return reply(await rooms(request).tasks.snooze(work, by=asker(request), until=body.until))


@telling
async def sound(request: web.Request) -> web.StreamResponse:
    """What was said."""
    work, found = _work(request), rooms(request)
    place, _, path = (await found.tasks.recording(work, by=asker(request))).partition(":")
    folder = found.sounds.get(place)
    if folder is not None and path and "\0" not in path:
        file = (folder / path).resolve()
        for one in (file, file.with_name(file.name + ".wav")):
            if one.is_file() and one.is_relative_to(folder.resolve()) and one.suffix == ".wav":
                return web.FileResponse(one, headers={hdrs.CONTENT_TYPE: "audio/wav", hdrs.CACHE_CONTROL: "no-store"})
    with contextlib.suppress(NoRecording):
        if (elsewhere := await sound_of_task(request, place, path)) is not None:
            return elsewhere
    raise ApiError(404, "no_recording", "there is no recording", remedy="it may have been deleted by now")


OPERATIONS = (
    Operation(
        name="task_counts",
        method=hdrs.METH_GET,
        path="/api/v1/tasks/counts",
        handler=counts,
        summary="How much is to be done, by kind",
        answer=WorkCounts,
        errors=AWAY,
    ),
    Operation(
        name="tasks",
        method=hdrs.METH_GET,
        path="/api/v1/tasks",
        handler=tasks,
        summary="What is to be done, the most pressing first",
        query=TasksQuery,
        answer=TaskList,
        errors=AWAY,
    ),
    Operation(
        name="task_make",
        method=hdrs.METH_POST,
        path="/api/v1/tasks",
        handler=make,
        summary="Make a task: an appointment to call back, or anything else",
        body=TaskBody,
        answer=Work,
        errors=AWAY,
    ),
    Operation(
        name="task_take",
        method=hdrs.METH_POST,
        path=f"{_PATH}/take",
        handler=take,
        summary="Take a task",
        params=WorkParams,
        answer=Work,
        errors=_UNKNOWN,
    ),
    Operation(
        name="task_done",
        method=hdrs.METH_POST,
        path=f"{_PATH}/done",
        handler=done,
        summary="A task is done, or will not be",
        params=WorkParams,
        body=EndBody,
        answer=Done,
        errors=_UNKNOWN,
    ),
    Operation(
        name="task_pass_on",
        method=hdrs.METH_POST,
        path=f"{_PATH}/pass-on",
        handler=pass_on,
        summary="Give a task to somebody else, or to a queue",
        params=WorkParams,
        body=PassBody,
        answer=Work,
        errors=_UNKNOWN,
    ),
    Operation(
        name="task_snooze",
        method=hdrs.METH_POST,
        path=f"{_PATH}/snooze",
        handler=snooze,
        summary="Put a task aside until a moment",
        params=WorkParams,
        body=SnoozeBody,
        answer=Work,
        errors=_UNKNOWN,
    ),
    Operation(
        name="task_recording",
        method=hdrs.METH_GET,
        path=f"{_PATH}/recording",
        handler=sound,
        summary="What was said: the sound of a voicemail or of a recorded complaint",
        params=WorkParams,
        answer=str,
        media=("audio/wav",),
        errors={404: "unknown_task or no_recording", **AWAY},
    ),
)
