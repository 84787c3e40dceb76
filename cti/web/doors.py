"""The doors of the web server: the pages' port, encrypted or not, and the plain one beside it that sends on."""

from __future__ import annotations

import resource
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

import structlog
from aiohttp import web

from cti.certificates import Certificates, is_loopback, names_of
from cti.settings import Settings
from cti.web import redirect
from cti.web.app import serving
from cti.web.deps import DEPS
from cti.web.gate_limits import GateLimits

log = structlog.get_logger(__name__)


FILES_WANTED = 16_384
FILES_OF_HOUSE = 400
"""Open files of the journal, the database, the link to Asterisk and the rest of the house."""
FILES_OF_CALLS = 3024
"""As many connections as FastAGI takes: callers in a flow, and those that have not said yet who they are."""
FILES_OF_OTHERS = FILES_OF_HOUSE + FILES_OF_CALLS + redirect.LIMITS.most
"""Open files that are not for the pages, however many come to them."""


def limits_by_files() -> GateLimits:
    """As many connections as the process may have files, with those left out that others need. The soft limit is raised first."""
    usual = GateLimits()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES_WANTED if hard == resource.RLIM_INFINITY else min(FILES_WANTED, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    if soft == resource.RLIM_INFINITY or soft >= usual.most + FILES_OF_OTHERS:
        return usual
    most = max(100, soft - FILES_OF_OTHERS)
    log.warning("few_connections", most=most, remedy="raise the limit of open files (LimitNOFILE, ulimit -n)")
    return replace(usual, most=most, most_of_address=min(usual.most_of_address, most))


@asynccontextmanager
async def open_doors(
    app: web.Application, settings: Settings, certificates: Certificates | None
) -> AsyncIterator[None]:
    """Serve the application where the settings place it; without `certificates` in the clear. Raises OSError."""
    host, port = settings.network.bind, settings.ports.of("web")
    refusals = app[DEPS].metrics.refusals

    def counted(reason: str) -> None:
        refusals.labels("redirect", reason).inc()

    limits = limits_by_files()
    async with AsyncExitStack() as doors:
        if certificates is None:
            if not is_loopback(host):
                log.warning("pages_not_encrypted", bind=host, remedy="set tls.mode unless a proxy encrypts")
            await doors.enter_async_context(serving(app, host, port, limits=limits))
        else:
            await doors.enter_async_context(serving(app, host, port, tls=certificates.context, limits=limits))
            plain = settings.ports.of("redirect")
            try:
                await doors.enter_async_context(
                    redirect.redirecting(
                        host,
                        plain,
                        to_port=port,
                        known_as=frozenset(name.lower() for name in names_of(settings)),
                        usual=settings.network.public_address,
                        counted=counted,
                    )
                )
            except OSError as error:  # the pages matter; a port that is only a courtesy does not
                log.warning("redirect_not_served", port=plain, error=str(error))
        yield
