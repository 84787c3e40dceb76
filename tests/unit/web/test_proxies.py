"""Who asks, behind proxies: what they wrote counts, what visitors wrote does not."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from hypothesis import given
from hypothesis import strategies as st

from cti.web.proxies import MOST, asker, believing

HOUSE = (ipaddress.ip_network("127.0.0.1/32"), ipaddress.ip_network("10.0.0.0/28"), ipaddress.ip_network("fd00::/16"))


@pytest.mark.parametrize(
    ("peer", "told", "who"),
    [
        ("127.0.0.1", ["203.0.113.7"], "203.0.113.7"),
        ("127.0.0.1", ["1.1.1.1, 203.0.113.7"], "203.0.113.7"),  # what the visitor wrote
        ("127.0.0.1", ["1.1.1.1", "203.0.113.7, 10.0.0.3"], "203.0.113.7"),  # two proxies, two lines
        ("127.0.0.1", ["10.0.0.3, 10.0.0.4"], "10.0.0.3"),  # somebody of the house itself
        ("127.0.0.1", ["203.0.113.7:4711"], "203.0.113.7"),
        ("127.0.0.1", ["[2001:DB8::1]:4711"], "2001:db8::1"),
        ("fd00::9", ["2001:db8::1"], "2001:db8::1"),
        ("::ffff:127.0.0.1", ["::ffff:203.0.113.7"], "203.0.113.7"),
        ("127.0.0.1", ["203.0.113.7, unknown"], "127.0.0.1"),
        ("127.0.0.1", ["203.0.113.7, unknown, 10.0.0.3"], "10.0.0.3"),
        ("127.0.0.1", ["", " , "], "127.0.0.1"),
        ("127.0.0.1", [], "127.0.0.1"),
        ("203.0.113.9", ["203.0.113.7"], "203.0.113.9"),  # no proxy of ours
        ("a socket's name", ["203.0.113.7"], "a socket's name"),
    ],
)
def test_the_first_from_the_right_that_is_no_proxy_of_ours(peer: str, told: list[str], who: str) -> None:
    assert asker(peer, told, HOUSE) == who


ADDRESSES = st.sampled_from(
    [
        "203.0.113.7",
        "198.51.100.1",
        "10.0.0.3",
        "127.0.0.1",
        "2001:db8::1",
        "fd00::1",
        "",
        "unknown",
        "%00",
        "1.2.3.4.5",
    ]
)


@given(lies=st.lists(st.text(max_size=40) | ADDRESSES, max_size=5), seen=st.ip_addresses(), between=st.integers(0, 3))
def test_nothing_that_a_visitor_writes_makes_them_another(lies: list[str], seen: object, between: int) -> None:
    """A proxy of the house adds whom it saw; others of the house add each other."""
    truth = str(seen)
    proxied = [f"10.0.0.{n}" for n in range(between)]
    honest = asker("127.0.0.1", [", ".join([truth, *proxied])], HOUSE)
    lied = asker("127.0.0.1", [", ".join([*lies, truth, *proxied])], HOUSE)
    if not any(ipaddress.ip_address(honest) in network for network in HOUSE):
        assert lied == honest


@given(told=st.lists(st.text(max_size=60), max_size=4), peer=st.sampled_from(["203.0.113.9", "127.0.0.1"]))
def test_whatever_comes_is_an_address_or_who_connected(told: list[str], peer: str) -> None:
    who = asker(peer, told, HOUSE)
    assert who == peer or ipaddress.ip_address(who)
    if peer != "127.0.0.1":
        assert who == peer


def test_a_header_without_end_costs_little() -> None:
    endless = ", ".join(["10.0.0.3"] * 100_000)
    assert asker("127.0.0.1", [endless], HOUSE) == "10.0.0.3"
    assert MOST < 100


async def told_of(proxies: Sequence[ipaddress.IPv4Network], **headers: str) -> tuple[str, str]:
    """What an operation sees as who asks, and a body that was sent."""

    async def say(request: web.Request) -> web.Response:
        return web.Response(text=f"{request.remote} {await request.text()}")

    app = web.Application(middlewares=[believing(proxies)])
    app.router.add_post("/", say)
    async with TestClient(TestServer(app)) as client, client.post("/", data="hello", headers=headers) as answer:
        remote, _, body = (await answer.text()).partition(" ")
        return remote, body


async def test_operations_see_who_asks() -> None:
    here = [ipaddress.IPv4Network("127.0.0.0/8")]
    assert await told_of(here, **{"X-Forwarded-For": "203.0.113.7"}) == ("203.0.113.7", "hello")
    assert await told_of(here) == ("127.0.0.1", "hello")
    assert await told_of([], **{"X-Forwarded-For": "203.0.113.7"}) == ("127.0.0.1", "hello")
