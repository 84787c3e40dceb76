"""The exact origins that this product's own pages have, and the check against them.

A browser sends its cookie along whatever page made the request; `Origin` says which page that was. So a request that
changes something, or opens the feed, is taken on the strength of a cookie only from one of our own origins.
"""

from __future__ import annotations

from collections.abc import Iterable

from aiohttp import hdrs, web

from cti.certificates import names_of
from cti.settings import Settings
from cti.web.errors import ApiError

_SAFE = frozenset({hdrs.METH_GET, hdrs.METH_HEAD, hdrs.METH_OPTIONS})
_EVERY_ADDRESS = frozenset({"0.0.0.0", "::", ""})  # noqa: S104 - compared with, not bound to


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host and not host.startswith("[") else host.lower()


def _origin(scheme: str, host: str, port: int) -> str:
    default = {"http": 80, "https": 443}[scheme]
    # Browsers leave the scheme's own port out of Origin.
    return f"{scheme}://{_in_url(host)}" if port == default else f"{scheme}://{_in_url(host)}:{port}"


def allowed_origins(
    settings: Settings, *, extra: Iterable[str] = (), schemes: Iterable[str] = ("http", "https")
) -> frozenset[str]:
    """Origins of our pages: every address this server is known by, with its port. Where it encrypts itself, https only."""
    port = settings.ports.of("web")
    # The names of the certificate, so that a page that opens without a warning works, too.
    hosts = {settings.network.bind, *names_of(settings)} - _EVERY_ADDRESS
    own = frozenset(_origin(scheme, host, port) for scheme in schemes for host in hosts)
    return own | frozenset(extra) | ({settings.network.public_url} - {""})


def usual_origin(settings: Settings, scheme: str) -> str:
    """The origin that this server tells others to come by: the proxy's, or at its public address."""
    return settings.network.public_url or _origin(scheme, names_of(settings)[0], settings.ports.of("web"))


def check_origin(request: web.Request, allowed: frozenset[str], *, by_cookie: bool, upgrade: bool = False) -> None:
    """Refuse a request that changes something, or upgrades, from a page that is not ours.

    A request without `Origin` comes from a program; it is taken unless a cookie is all it has. Raises `ApiError`.
    """
    if request.method in _SAFE and not upgrade:
        return
    given = request.headers.getall(hdrs.ORIGIN, [])
    if not given and not by_cookie:
        return
    if len(given) == 1 and given[0] in allowed:
        return
    raise ApiError(
        403,
        "wrong_origin",
        "this request did not come from a page of this server",
        remedy="open the page by the address the server prints at start, or set network.public_address, or behind a proxy network.public_url, to the one used",
    )
