"""JSON on the wire: one way to write it (orjson) and one way to read a request's body (pydantic, strict)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TypeVar

import orjson
from aiohttp import hdrs, web
from pydantic import BaseModel, ValidationError

from cti.web.errors import ApiError

BODY_LIMIT = 64 * 1024
"""Bytes; a larger request body is refused."""
BODY_SECONDS = 10.0
"""A body that takes longer to arrive is refused."""

_OPTIONS = orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS

Model = TypeVar("Model", bound=BaseModel)


def _other(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, frozenset | set):
        return sorted(value)
    if isinstance(value, BaseModel):
        return value.model_dump()
    raise TypeError(f"{type(value).__name__} has no JSON form")


def encode(value: object) -> bytes:
    """JSON of plain values, dataclasses and pydantic models; times (UTC everywhere inside) with "Z", enums by value."""
    return orjson.dumps(value, default=_other, option=_OPTIONS)


def reply(value: object, *, status: int = 200) -> web.Response:
    """A JSON answer. Never cached: it is about now."""
    return web.Response(
        body=encode(value), status=status, content_type="application/json", headers={hdrs.CACHE_CONTROL: "no-store"}
    )


def refuse_invalid(error: ValidationError, what: str) -> ApiError:
    """The answer to a body, query or path that does not fit its schema: which field, and what is wrong with it."""
    problems = [
        {"field": _shown(".".join(str(part) for part in problem["loc"])), "message": problem["msg"]}
        for problem in error.errors(include_url=False, include_context=False, include_input=False)[:20]
    ]
    first = problems[0]
    where = f"{first['field']}: " if first["field"] else ""
    return ApiError(
        400,
        "invalid_input",
        f"the {what} is not valid: {where}{first['message']}",
        remedy="correct the fields named in details; /api/v1/openapi.json has the schema",
        details=problems,
    )


def _shown(name: str) -> str:
    """A name as somebody wrote it, fit for an answer: bytes of a request line that are no UTF-8 come as half signs."""
    return name.encode("utf-8", "replace").decode()


async def read_body(request: web.Request, model: type[Model], *, limit: int = BODY_LIMIT) -> Model:
    """The request's JSON body as `model`.

    Raises `ApiError`: unsupported_media_type, body_too_slow, too_large, bad_json, invalid_input.
    """
    if request.content_type != "application/json":
        raise ApiError(
            415,
            "unsupported_media_type",
            "the body must be JSON",
            remedy="send it with the header Content-Type: application/json",
        )
    try:
        async with asyncio.timeout(BODY_SECONDS):
            raw = await (request if limit == BODY_LIMIT else request.clone(client_max_size=limit)).read()
    except web.HTTPRequestEntityTooLarge:
        raise ApiError(413, "too_large", "the body is too large", remedy=f"send at most {limit // 1024} KB") from None
    except TimeoutError:
        raise ApiError(408, "body_too_slow", "the body did not arrive in time", remedy="send it again") from None
    try:
        return model.model_validate_json(raw, strict=True)
    except ValidationError as error:
        if any(problem["type"] == "json_invalid" for problem in error.errors(include_url=False)):
            raise ApiError(
                400, "bad_json", "the body is not valid JSON", remedy="send one JSON object, encoded as UTF-8"
            ) from None
        raise refuse_invalid(error, "body") from None


def read_query(request: web.Request, model: type[Model]) -> Model:
    """The query string as `model`; a repeated key is refused. Raises `ApiError` invalid_input."""
    repeated = sorted({key for key in request.query if len(request.query.getall(key)) > 1})
    if repeated:
        raise ApiError(
            400, "invalid_input", f"the query has {_shown(repeated[0][:40])} twice", remedy="give each parameter once"
        )
    try:
        return model.model_validate(dict(request.query))
    except ValidationError as error:
        raise refuse_invalid(error, "query") from None


def read_path(request: web.Request, model: type[Model]) -> Model:
    """The variable parts of the path as `model`. Raises `ApiError` invalid_input."""
    try:
        return model.model_validate(dict(request.match_info))
    except ValidationError as error:
        raise refuse_invalid(error, "path") from None
