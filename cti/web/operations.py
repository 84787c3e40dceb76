"""An operation: one method at one address, with the schemas of what goes in and out. The routes and the OpenAPI
document are made from the same values, so neither can tell a different story."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, field_validator

from cti.web.auth.guard import guarded
from cti.web.deps import HANDLERS

FIRST_YEAR, LAST_YEAR = 2000, 2099


def _sane(moment: datetime) -> datetime:
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        raise ValueError(f"a moment of the years {FIRST_YEAR} to {LAST_YEAR} is needed")
    return moment


Moment = Annotated[AwareDatetime, AfterValidator(_sane)]
"""A moment that can be told in any zone, compared with the years around it, and kept."""


class Body(BaseModel):
    """Base of request bodies: unknown fields are refused, types are not bent, and text that could not be kept as it is sent
    is refused rather than changed (half a pair of signs is no JSON for our reader to begin with)."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_max_length=4096, defer_build=True)

    @field_validator("*", mode="after")
    @classmethod
    def _storable(cls, value: Any) -> Any:
        if _has_nul(value):
            raise ValueError("the sign U+0000 cannot be kept; take it out")
        return value


def _has_nul(value: object) -> bool:
    """Whether PostgreSQL would refuse a text in it: no database of ours has a place for U+0000."""
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, Mapping):
        return any(_has_nul(name) or _has_nul(one) for name, one in value.items())
    return isinstance(value, list | tuple) and any(map(_has_nul, value))


class Params(BaseModel):
    """Base of query and path parameters."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_max_length=256, defer_build=True)

    @field_validator("*", mode="after")
    @classmethod
    def _storable(cls, value: Any) -> Any:
        if _has_nul(value):
            raise ValueError("the sign U+0000 is in nothing that is kept; take it out")
        return value


class Answer(BaseModel):
    """Base of answers that are not rows of the floor."""

    model_config = ConfigDict(frozen=True, defer_build=True)


class Done(Answer):
    """It is done; there is nothing to tell."""

    ok: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One entry of the API. `name` is the key in the permission table. `answer` is any type pydantic can describe."""

    name: str
    method: str
    path: str
    handler: Handler
    summary: str
    answer: Any = None
    media: tuple[str, ...] = ("text/plain",)
    """Content types of an `answer` that is `str`: text, or a file."""
    body: type[BaseModel] | None = None
    body_limit: int = 64 * 1024
    """Bytes; a larger body is refused."""
    files: tuple[str, ...] = ()
    """Content types of a body that is a file, besides `body` or in its place."""
    query: type[BaseModel] | None = None
    params: type[BaseModel] | None = None
    upgrade: bool = False
    """True for a WebSocket."""
    errors: Mapping[int, str] = field(default_factory=dict)
    """Statuses this operation refuses with, beyond those that every one has, and when."""


def add_operations(app: web.Application, operations: Sequence[Operation]) -> None:
    """Route the operations, each behind its guard."""
    app[HANDLERS] = {operation.name: operation.handler for operation in operations}
    for operation in operations:
        handler = guarded(operation.name, operation.handler, upgrade=operation.upgrade)
        app.router.add_route(operation.method, operation.path, handler, name=operation.name)
        if operation.method == hdrs.METH_GET and not operation.upgrade:
            app.router.add_route(hdrs.METH_HEAD, operation.path, handler)
