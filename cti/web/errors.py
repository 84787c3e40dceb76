"""Errors on the wire: `{"error": {"id", "message", "remedy"}}`, and never a traceback."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import orjson
import structlog
from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from cti.errors import CtiError, IllegalTransition, RemoteError
from cti.services.floor import Refused

log = structlog.get_logger(__name__)


class ApiError(CtiError):
    """A request was refused with an HTTP `status`. `details` names the fields that were wrong."""

    def __init__(
        self,
        status: int,
        error_id: str,
        message: str,
        *,
        remedy: str = "",
        details: Sequence[Mapping[str, object]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message, remedy=remedy)
        self.status = status
        self.error_id = error_id
        self.details = tuple(details)
        self.headers = dict(headers or {})


_HTTP_WORDS: dict[int, tuple[str, str, str]] = {
    400: ("bad_request", "the request could not be read", "check the request line, headers and body"),
    404: ("not_found", "there is nothing at this address", "/api/v1/openapi.json lists every address"),
    405: ("method_not_allowed", "this address does not take that method", "the Allow header lists the methods"),
    413: ("too_large", "the body is too large", "send at most 64 KB"),
    426: ("upgrade_required", "this address is a WebSocket", "open it as a WebSocket"),
}
_REFUSED_STATUS = {
    "unknown_agent": 404,
    "unknown_call": 404,
    "unknown_offer": 404,
    "unknown_queue": 404,
    "no_callback": 404,
    "unknown_reason": 400,
    "unknown_disposition": 400,
    "state_not_choosable": 400,
}
"""What the floor refuses because the request is wrong; everything else is a matter of the moment: 409."""


def error_response(
    status: int,
    error_id: str,
    message: str,
    remedy: str,
    *,
    details: Sequence[Mapping[str, object]] = (),
    headers: Mapping[str, str] | None = None,
) -> web.Response:
    """The one form every error takes."""
    error: dict[str, object] = {"id": error_id, "message": message, "remedy": remedy}
    if details:
        error["details"] = list(details)
    return web.Response(
        body=orjson.dumps({"error": error}),
        status=status,
        content_type="application/json",
        headers={hdrs.CACHE_CONTROL: "no-store", **(headers or {})},
    )


def answer_for(error: CtiError) -> web.Response:
    """The answer to an error raised on purpose."""
    if isinstance(error, ApiError):
        return error_response(
            error.status,
            error.error_id,
            error.message,
            error.remedy,
            details=error.details,
            headers=error.headers,
        )
    if isinstance(error, Refused):
        status = _REFUSED_STATUS.get(error.error_id, 409)
        return error_response(status, error.error_id, error.message, error.remedy)
    if isinstance(error, IllegalTransition):
        return error_response(409, error.error_id, error.message, error.remedy)
    if isinstance(error, RemoteError):
        remedy = error.remedy or (
            "look at the state before trying again" if error.outcome_unknown else "try again in a moment"
        )
        return error_response(502 if error.outcome_unknown else 503, error.error_id, error.message, remedy)
    log.error("request failed", error_id=error.error_id)
    return error_response(500, error.error_id, "something went wrong here", "try again; the server's log has more")


@web.middleware
async def errors_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn everything that is raised into a JSON error."""
    try:
        return await handler(request)
    except CtiError as error:
        return answer_for(error)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        error_id, message, remedy = _HTTP_WORDS.get(
            error.status, ("http_error", error.reason.lower(), "see /api/v1/openapi.json")
        )
        headers: dict[str, str] = {hdrs.ALLOW: error.headers[hdrs.ALLOW]} if hdrs.ALLOW in error.headers else {}
        return error_response(error.status, error_id, message, remedy, headers=headers)
    except (ConnectionResetError, ConnectionAbortedError):
        raise
    except Exception:
        log.exception("request failed", route=request.match_info.route.resource and request.match_info.route.name)
        return error_response(500, "internal", "something went wrong here", "try again; the server's log has more")
