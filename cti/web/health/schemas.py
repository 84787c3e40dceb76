"""Health on the wire."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from cti.web.operations import Answer


class Alive(Answer):
    """The process lives."""

    status: Literal["ok"] = "ok"


class Part(Answer):
    """One part. `needed`: without it no call can be served."""

    ok: bool
    needed: bool
    detail: str


class Readiness(Answer):
    """`ready`: everything works. `degraded`: calls are served, something else is away. `not_ready`: calls are not."""

    status: Literal["ready", "degraded", "not_ready"]
    parts: Mapping[str, Part]
