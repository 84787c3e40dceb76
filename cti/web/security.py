"""Headers that tell a browser what our pages may do: nothing but what they need."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from aiohttp import hdrs, web


def content_security_policy(*, phone_ws: str, origins: frozenset[str]) -> str:
    """The policy: own scripts, styles, pictures and sounds; connections to the API, the own feed and the phone server.

    The feed is named for every own origin because not every browser reads 'self' as covering WebSockets. But those at an
    address of IPv6: a policy has no way to write these, and browsers warn of them on every page.
    """
    feeds = sorted(
        f"{'wss' if parts.scheme == 'https' else 'ws'}://{parts.netloc}/api/v1/feed"
        for parts in map(urlsplit, origins)
        if "[" not in parts.netloc
    )
    connect = " ".join(("'self'", phone_ws, *feeds))
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self' data:",
            "font-src 'self'",
            "media-src 'self' blob:",
            f"connect-src {connect}",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "form-action 'self'",
        )
    )


def security_headers(
    *, phone_ws: str, origins: frozenset[str], strict: bool = False
) -> Callable[[web.Request, web.StreamResponse], Awaitable[None]]:
    """A response-prepare signal that puts the headers on every answer. `strict`: browsers are to come by https only, for
    a year; not with a certificate made here, whose warning nobody could click away any more."""
    fixed = {
        "Content-Security-Policy": content_security_policy(phone_ws=phone_ws, origins=origins),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",
        "Permissions-Policy": (
            "microphone=(self), camera=(), geolocation=(), display-capture=(), usb=(), serial=(), hid=(),"
            " payment=(), midi=()"
        ),
        # The tab of an outside customer system is used again for the next call; it gets no way back into our page.
        "Cross-Origin-Opener-Policy": "same-origin-allow-popups",
        "Cross-Origin-Resource-Policy": "same-origin",
        hdrs.SERVER: "cti",
    }
    if strict:
        fixed["Strict-Transport-Security"] = "max-age=31536000"

    async def add(_request: web.Request, response: web.StreamResponse) -> None:
        response.headers.update(fixed)

    return add
