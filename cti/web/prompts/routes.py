"""Prompts: list, listen, record, go back."""

from __future__ import annotations

import asyncio

import structlog
from aiohttp import hdrs, web

from cti.errors import CtiError
from cti.services.prompt_sounds import PromptSound, PromptSounds, Recording, RecordingRefused, UnknownPrompt
from cti.web.auth.guard import session_of
from cti.web.deps import DEPS
from cti.web.errors import ApiError
from cti.web.operations import Operation
from cti.web.prompts.schemas import (
    PromptDetail,
    PromptList,
    PromptParams,
    PromptRow,
    RecordingCode,
    RecordingParams,
    RecordingRow,
    SoundRow,
)
from cti.web.wire import read_path, reply

UPLOAD_LIMIT = 24 * 1024 * 1024
"""Bytes of a recording."""
UPLOAD_SECONDS = 60.0
"""An upload that takes longer to arrive is refused."""

log = structlog.get_logger(__name__)


def _sounds(request: web.Request) -> PromptSounds:
    sounds = request.app[DEPS].prompts
    if sounds is None:
        raise ApiError(503, "no_prompts", "this server has no prompts", remedy="start it with `cti serve` or `cti up`")
    return sounds


def _refused(error: CtiError) -> ApiError:
    status = 404 if isinstance(error, UnknownPrompt) else 422 if isinstance(error, RecordingRefused) else 503
    return ApiError(status, error.error_id, error.message, remedy=error.remedy)


def _row(sound: PromptSound) -> SoundRow:
    return SoundRow(
        language=sound.language,
        text=sound.text,
        state=sound.state.value,
        recorded=sound.recorded,
        seconds=sound.seconds,
        by=sound.by,
        at=sound.at,
        how=sound.how,
        said=sound.said,
        recordings=sound.versions,
    )


def _recording(found: Recording) -> RecordingRow:
    return RecordingRow(
        number=found.number, at=found.at, by=found.by, how=found.how, said=found.said, seconds=found.seconds, current=found.current
    )  # fmt: skip


async def _detail(request: web.Request, params: PromptParams) -> web.Response:
    sounds = _sounds(request)
    try:
        found = await sounds.find(params.language, params.name)
        recordings = await sounds.recordings(params.language, params.name)
    except CtiError as error:
        raise _refused(error) from None
    return reply(PromptDetail(name=found.name, sound=_row(found), recordings=[_recording(one) for one in recordings]))


async def prompts(request: web.Request) -> web.Response:
    """Every prompt."""
    deps = request.app[DEPS]
    try:
        found = await _sounds(request).all()
    except CtiError as error:
        raise _refused(error) from None
    rows: dict[str, list[SoundRow]] = {}
    for sound in found:
        rows.setdefault(sound.name, []).append(_row(sound))
    return reply(
        PromptList(
            languages=list(deps.centre.languages),
            prompts=[PromptRow(name=name, sounds=sounds) for name, sounds in rows.items()],
            dial=deps.recording_codes.dial if deps.recording_codes is not None else "",
        )
    )


async def prompt(request: web.Request) -> web.Response:
    """One prompt with its recordings."""
    return await _detail(request, read_path(request, PromptParams))


async def sound(request: web.Request) -> web.Response:
    """The sound that is heard now."""
    params = read_path(request, PromptParams)
    return await _wave(request, params, None)


async def recording(request: web.Request) -> web.Response:
    """A recording that is kept."""
    params = read_path(request, RecordingParams)
    return await _wave(request, params, params.number)


async def _wave(request: web.Request, params: PromptParams, number: int | None) -> web.Response:
    try:
        content = await _sounds(request).listen(params.language, params.name, number)
    except CtiError as error:
        raise _refused(error) from None
    return web.Response(body=content, content_type="audio/wav", headers={hdrs.CACHE_CONTROL: "no-store"})


async def upload(request: web.Request) -> web.Response:
    """Take a recording."""
    params, sounds = read_path(request, PromptParams), _sounds(request)
    if request.content_type not in ("audio/wav", "audio/x-wav", "audio/wave", "audio/vnd.wave"):
        raise ApiError(
            415,
            "unsupported_media_type",
            "the body must be a WAV file",
            remedy="send it with the header Content-Type: audio/wav",
        )
    content = await _read(request)
    by = session_of(request).account.username
    try:
        await sounds.keep(params.language, params.name, content, by=by, how="upload")
    except CtiError as error:
        raise _refused(error) from None
    return await _detail(request, params)


async def _read(request: web.Request) -> bytes:
    too_large = ApiError(
        413, "too_large", "the file is too large", remedy=f"send at most {UPLOAD_LIMIT // 1024 // 1024} MB"
    )
    if (request.content_length or 0) > UPLOAD_LIMIT:
        raise too_large
    content = bytearray()
    try:
        async with asyncio.timeout(UPLOAD_SECONDS):
            async for part in request.content.iter_chunked(256 * 1024):
                content += part
                if len(content) > UPLOAD_LIMIT:
                    raise too_large
    except TimeoutError:
        raise ApiError(408, "body_too_slow", "the file did not arrive in time", remedy="send it again") from None
    return bytes(content)


async def use(request: web.Request) -> web.Response:
    """An earlier recording again."""
    params = read_path(request, RecordingParams)
    by = session_of(request).account.username
    try:
        await _sounds(request).use(params.language, params.name, params.number, by=by)
    except CtiError as error:
        raise _refused(error) from None
    return await _detail(request, params)


async def give_up(request: web.Request) -> web.Response:
    """Back to the voice."""
    params = read_path(request, PromptParams)
    try:
        await _sounds(request).give_up(params.language, params.name, by=session_of(request).account.username)
    except CtiError as error:
        raise _refused(error) from None
    return await _detail(request, params)


async def code(request: web.Request) -> web.Response:
    """A code for recording by telephone."""
    params, codes = read_path(request, PromptParams), request.app[DEPS].recording_codes
    if codes is None:
        raise ApiError(503, "no_prompts", "this server records no prompts", remedy="start it with `cti up`")
    try:
        await _sounds(request).find(params.language, params.name)
        value, until = codes.give(params.language, params.name, by=session_of(request).account.username)
    except UnknownPrompt as error:
        raise _refused(error) from None
    except CtiError as error:
        raise ApiError(429, error.error_id, error.message, remedy=error.remedy) from None
    return reply(RecordingCode(code=value, dial=codes.dial, until=until))


_UNKNOWN = {404: "unknown_prompt", 503: "the prompts cannot be read, or made"}
_PATH = "/api/v1/prompts/{language}/{name}"

OPERATIONS = (
    Operation(
        name="prompts",
        method=hdrs.METH_GET,
        path="/api/v1/prompts",
        handler=prompts,
        summary="Every prompt with its texts and what is heard of it in each language",
        answer=PromptList,
        errors={503: "the prompts cannot be read"},
    ),
    Operation(
        name="prompt",
        method=hdrs.METH_GET,
        path=_PATH,
        handler=prompt,
        summary="A prompt in one language, and every recording made of it",
        params=PromptParams,
        answer=PromptDetail,
        errors=_UNKNOWN,
    ),
    Operation(
        name="prompt_sound",
        method=hdrs.METH_GET,
        path=f"{_PATH}/sound.wav",
        handler=sound,
        summary="The sound callers hear now, as a WAV file",
        params=PromptParams,
        answer=str,
        media=("audio/wav",),
        errors=_UNKNOWN,
    ),
    Operation(
        name="prompt_recording",
        method=hdrs.METH_GET,
        path=_PATH + "/recordings/{number}.wav",
        handler=recording,
        summary="A recording that is kept, as a WAV file",
        params=RecordingParams,
        answer=str,
        media=("audio/wav",),
        errors=_UNKNOWN,
    ),
    Operation(
        name="prompt_upload",
        method=hdrs.METH_PUT,
        path=f"{_PATH}/recording",
        handler=upload,
        summary="Take the WAV file of the body (Content-Type: audio/wav) for the prompt's sound, from the next play on",
        params=PromptParams,
        files=("audio/wav",),
        answer=PromptDetail,
        errors={
            **_UNKNOWN,
            408: "body_too_slow",
            413: "too_large",
            415: "unsupported_media_type",
            422: "recording_refused: no sound, too short, too long, too loud, too quiet; nothing changed",
        },
    ),
    Operation(
        name="prompt_give_up",
        method=hdrs.METH_DELETE,
        path=f"{_PATH}/recording",
        handler=give_up,
        summary="Back to the voice; the recordings are kept",
        params=PromptParams,
        answer=PromptDetail,
        errors=_UNKNOWN,
    ),
    Operation(
        name="prompt_use",
        method=hdrs.METH_POST,
        path=_PATH + "/recordings/{number}",
        handler=use,
        summary="Take an earlier recording again",
        params=RecordingParams,
        answer=PromptDetail,
        errors=_UNKNOWN,
    ),
    Operation(
        name="prompt_code",
        method=hdrs.METH_POST,
        path=f"{_PATH}/code",
        handler=code,
        summary="A code for recording this prompt by telephone; it counts once, for ten minutes",
        params=PromptParams,
        answer=RecordingCode,
        errors={**_UNKNOWN, 429: "too_many_codes"},
    ),
)
