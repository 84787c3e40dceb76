"""Plain HTTP beside TLS: every request is sent on to the encrypted address, and nothing else is answered."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import hdrs, web
from yarl import URL

from cti.web.gate import Gate
from cti.web.gate_limits import GateLimits

LIMITS = GateLimits(most=500, most_of_address=200, idle_seconds=10.0)
"""Who is sent on comes once, and goes."""


@asynccontextmanager
async def redirecting(
    host: str,
    port: int,
    *,
    to_port: int,
    known_as: frozenset[str],
    usual: str,
    counted: Callable[[str], None] | None = None,
) -> AsyncIterator[int]:
    """Listen on `port` and send on to `to_port`; a name that is none of ours (`known_as`) is sent to the `usual` one.

    `counted` is told why whenever a connection was ended or not begun. Gives the port really used. Raises OSError when it is taken.
    """

    async def send_on(request: web.BaseRequest) -> web.StreamResponse:
        asked = URL(f"http://{request.host}").host if request.headers.get(hdrs.HOST) else None
        name = asked if asked in known_as else usual
        in_url = f"[{name}]" if ":" in name else name
        place = request.raw_path if request.raw_path.startswith("/") and "\\" not in request.raw_path else "/"
        port_part = "" if to_port == 443 else f":{to_port}"
        return web.Response(
            status=308, headers={hdrs.LOCATION: f"https://{in_url}{port_part}{place}", hdrs.CACHE_CONTROL: "no-store"}
        )

    async def safely(request: web.BaseRequest) -> web.StreamResponse:
        try:
            return await send_on(request)
        except ValueError:
            return web.Response(status=400)

    runner = web.ServerRunner(web.Server(safely, access_log=None), handle_signals=False)
    await runner.setup()
    assert runner.server is not None
    gate = Gate(runner.server, name="redirect", limits=LIMITS, counted=counted)
    try:
        await gate.open(host, port)
        yield gate.port
    finally:
        await gate.close()
        await runner.cleanup()
