"""Who asks, where a proxy of the house stands in front: limits of log-ins, calls and wishes are by the asker's address, not by its."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
TELLS = "X-Forwarded-For"
MOST = 32
"""Addresses of one request that are looked at: nobody stands behind so many proxies."""


def asker(peer: str, told: Sequence[str], proxies: Sequence[Network]) -> str:
    """The address that a request comes from.

    `peer` is who connected; `told` what the header has, each of its lines. What a client sends, a proxy passes on and adds to at the
    right, so what is not the word of a proxy of ours counts for nothing: from the right, the first address that is none of them. What
    cannot be read ends the search: the last that was sure is taken.
    """
    sure = peer
    entries = ",".join(told).rsplit(",", MOST)[-MOST:] if told else []
    for entry in reversed(entries):
        if not _is_of(sure, proxies):
            break
        address = _address(entry)
        if address is None:
            break
        sure = address
    return sure


def believing(proxies: Sequence[Network]) -> Middleware:
    """What all operations see of a request's `remote` is who asks. Without proxies it is who connected, whatever headers say."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        if proxies and request.remote and TELLS in request.headers:
            who = asker(request.remote, request.headers.getall(TELLS), proxies)
            if who != request.remote:
                request = request.clone(remote=who)
        return await handler(request)

    return middleware


def _is_of(address: str, proxies: Sequence[Network]) -> bool:
    try:
        known = _plain(ipaddress.ip_address(address))
    except ValueError:
        return False
    return any(known in network for network in proxies)


def _address(entry: str) -> str | None:
    """An entry's address as it is always written; some proxies add the port."""
    entry = entry.strip()
    if entry.startswith("["):
        entry = entry[1:].partition("]")[0]
    elif entry.count(":") == 1:
        entry = entry.partition(":")[0]
    try:
        return str(_plain(ipaddress.ip_address(entry)))
    except ValueError:
        return None


def _plain(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """An IPv4 address that is written as one of IPv6 is the same."""
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
