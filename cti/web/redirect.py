"""Plain HTTP beside TLS: every request is sent on to the encrypted address, and nothing else is answered."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import hdrs, web
from yarl import URL


@asynccontextmanager
async def redirecting(
    host: str, port: int, *, to_port: int, known_as: frozenset[str], usual: str
) -> AsyncIterator[int]:
    """Listen on `port` and send on to `to_port`; a name that is none of ours (`known_as`) is sent to the `usual` one.

    Gives the port really used. Raises OSError when it is taken.
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
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()
