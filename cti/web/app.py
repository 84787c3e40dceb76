"""The web application: every feature's operations, the pages, the headers, the feed."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

import cti.web.agent.dial_routes
import cti.web.agent.routes
import cti.web.agent.talk_routes
import cti.web.auth.routes
import cti.web.calls.routes
import cti.web.casework.contact_routes
import cti.web.casework.routes
import cti.web.config.routes
import cti.web.customers.routes
import cti.web.explain.routes
import cti.web.flows.routes
import cti.web.flows.versions
import cti.web.health.routes
import cti.web.outbound.routes
import cti.web.prompts.routes
import cti.web.public.routes
import cti.web.quality.routes
import cti.web.recordings.routes
import cti.web.reports.exports
import cti.web.reports.routes
import cti.web.reports.schedules
import cti.web.reports.staffing
import cti.web.reports.targets
import cti.web.supervision.acts_routes
import cti.web.supervision.floor_routes
import cti.web.supervision.routes
import cti.web.supervisor.alerts
import cti.web.supervisor.callbacks
import cti.web.supervisor.routes
import cti.web.supervisor.waiting
from cti.web import feed
from cti.web.auth.access_file import AccessFile
from cti.web.auth.attempts import Attempts, LoginLimits
from cti.web.auth.entering import LIMITS
from cti.web.auth.looking_after import look_after_log_ins
from cti.web.auth.provider_routes import add_provider
from cti.web.auth.sessions import Sessions
from cti.web.deps import ACCESS, DEPS, SESSIONS, WebDeps
from cti.web.errors import errors_middleware
from cti.web.gate import Gate
from cti.web.gate_limits import GateLimits
from cti.web.openapi import openapi
from cti.web.operations import Operation, add_operations
from cti.web.pages.routes import add_pages
from cti.web.proxies import believing
from cti.web.public.routes import WEBCALL_WINDOW, WEBCALLS, WEBCALLS_PER_ADDRESS
from cti.web.security import security_headers
from cti.web.wire import BODY_LIMIT, encode

STOP_SECONDS = 3.0
"""How long open requests have to end when the server stops."""


_MAKING = web.AppKey("making_document", asyncio.Lock)


async def _openapi(request: web.Request) -> web.Response:
    if not _made:
        # Once, beside the loop: it takes a second, and a bridge that starts has no second to lose.
        async with request.app[_MAKING]:
            if not _made:
                _made.append(await asyncio.to_thread(_document))
    return web.Response(body=_made[0], content_type="application/json", headers={hdrs.CACHE_CONTROL: "no-cache"})


OPERATIONS: tuple[Operation, ...] = (
    *cti.web.auth.routes.OPERATIONS,
    *cti.web.agent.routes.OPERATIONS,
    *cti.web.agent.dial_routes.OPERATIONS,
    *cti.web.agent.talk_routes.OPERATIONS,
    *cti.web.supervisor.routes.OPERATIONS,
    *cti.web.supervisor.waiting.OPERATIONS,
    *cti.web.supervisor.callbacks.OPERATIONS,
    *cti.web.supervisor.alerts.OPERATIONS,
    *cti.web.supervision.routes.OPERATIONS,
    *cti.web.supervision.floor_routes.OPERATIONS,
    *cti.web.supervision.acts_routes.OPERATIONS,
    *feed.OPERATIONS,
    *cti.web.calls.routes.OPERATIONS,
    *cti.web.casework.routes.OPERATIONS,
    *cti.web.explain.routes.OPERATIONS,
    *cti.web.config.routes.OPERATIONS,
    *cti.web.customers.routes.OPERATIONS,
    *cti.web.flows.routes.OPERATIONS,
    *cti.web.flows.versions.OPERATIONS,
    *cti.web.outbound.routes.OPERATIONS,
    *cti.web.prompts.routes.OPERATIONS,
    *cti.web.public.routes.OPERATIONS,
    *cti.web.recordings.routes.OPERATIONS,
    *cti.web.quality.routes.OPERATIONS,
    *cti.web.reports.routes.OPERATIONS,
    *cti.web.reports.exports.OPERATIONS,
    *cti.web.reports.schedules.OPERATIONS,
    *cti.web.reports.staffing.OPERATIONS,
    *cti.web.reports.targets.OPERATIONS,
    *cti.web.health.routes.OPERATIONS,
    Operation(
        name="openapi",
        method=hdrs.METH_GET,
        path="/api/v1/openapi.json",
        handler=_openapi,
        summary="This document",
    ),
)
"""The whole API."""


_made: list[bytes] = []
"""The API's document, once somebody has asked: the same for every application of this process."""


def _document() -> bytes:
    """It takes a while to make."""
    return encode(openapi(OPERATIONS))


@web.middleware
async def _count(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Count answers by operation and status; the address asked for is never a label."""
    response = await handler(request)
    resource = request.match_info.route.name or "page"
    request.app[DEPS].metrics.requests.labels(operation=resource, status=str(response.status)).inc()
    return response


def build_app(deps: WebDeps) -> web.Application:
    """The web application over a floor. Starting it starts the feed; stopping it closes every feed first."""
    app = web.Application(middlewares=(believing(deps.proxies), _count, errors_middleware), client_max_size=BODY_LIMIT)
    app[DEPS] = deps
    app[SESSIONS] = Sessions(
        deps.accounts,
        key=deps.session_key,
        revoked_file=deps.revoked_file,
        clock=deps.clock,
        lifetime=timedelta(hours=deps.access.session_hours),
        idle=timedelta(minutes=deps.access.idle_minutes),
    )
    app[ACCESS] = AccessFile(deps.revoked_file.with_name("access.json"), deps.accounts, deps.clock)
    app[LIMITS] = LoginLimits()
    app[cti.web.casework.contact_routes.LIMITS] = cti.web.casework.contact_routes.ContactLimits()
    app[WEBCALLS] = Attempts(WEBCALLS_PER_ADDRESS, WEBCALL_WINDOW)
    app[feed.HUB] = feed.FeedHub(deps)
    app[_MAKING] = asyncio.Lock()
    add_operations(app, OPERATIONS)
    add_pages(app)
    add_provider(app, deps)
    app.on_response_prepare.append(
        security_headers(phone_ws=deps.phone.ws_url, origins=deps.origins, strict=deps.trusted_certificate)
    )
    app.cleanup_ctx.append(feed.run_hub)
    app.cleanup_ctx.append(look_after_log_ins)
    app.on_shutdown.append(feed.close_feeds)
    return app


@asynccontextmanager
async def serving(
    app: web.Application,
    host: str,
    port: int,
    *,
    tls: ssl.SSLContext | None = None,
    limits: GateLimits | None = None,
) -> AsyncIterator[int]:
    """Serve the application, encrypted with `tls`, to as many as `limits` says; gives the port really used (for port 0).

    Raises OSError when the port is taken.
    """
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=STOP_SECONDS)
    await runner.setup()
    assert runner.server is not None
    refusals = app[DEPS].metrics.refusals

    def counted(reason: str) -> None:
        refusals.labels("pages", reason).inc()

    gate = Gate(runner.server, name="pages", tls=tls, limits=limits, counted=counted)
    try:
        await gate.open(host, port)
        yield gate.port
    finally:
        await gate.close()
        await runner.cleanup()
