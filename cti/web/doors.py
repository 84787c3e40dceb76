"""The doors of the web server: the pages' port, encrypted or not, and the plain one beside it that sends on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import structlog
from aiohttp import web

from cti.certificates import Certificates, is_loopback, names_of
from cti.settings import Settings
from cti.web.app import serving
from cti.web.redirect import redirecting

log = structlog.get_logger(__name__)


@asynccontextmanager
async def open_doors(
    app: web.Application, settings: Settings, certificates: Certificates | None
) -> AsyncIterator[None]:
    """Serve the application where the settings place it; without `certificates` in the clear. Raises OSError."""
    host, port = settings.network.bind, settings.ports.of("web")
    async with AsyncExitStack() as doors:
        if certificates is None:
            if not is_loopback(host):
                log.warning("pages_not_encrypted", bind=host, remedy="set tls.mode unless a proxy encrypts")
            await doors.enter_async_context(serving(app, host, port))
        else:
            await doors.enter_async_context(serving(app, host, port, tls=certificates.context))
            plain = settings.ports.of("redirect")
            try:
                await doors.enter_async_context(
                    redirecting(
                        host,
                        plain,
                        to_port=port,
                        known_as=frozenset(name.lower() for name in names_of(settings)),
                        usual=settings.network.public_address,
                    )
                )
            except OSError as error:  # the pages matter; a port that is only a courtesy does not
                log.warning("redirect_not_served", port=plain, error=str(error))
        yield
