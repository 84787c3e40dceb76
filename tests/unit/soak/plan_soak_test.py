"""The plan of faults, the callers' script, and the proxy that faults are done with."""

from __future__ import annotations

import asyncio
from collections import Counter
from xml.etree import ElementTree

import pytest

from cti.soak import callers
from cti.soak.plan import Fault, plan
from cti.soak.proxy import SLOW_BYTES, Mode, Proxy


def test_a_seed_is_a_plan_and_all_kinds_come_alike() -> None:
    kinds = (Fault.BRIDGE_KILL, Fault.AMI_CUT, Fault.DATABASE_STOP)
    made = plan(7, kinds, 30, gap=(1, 2), lasting=20, kill_inside=True)
    assert made == plan(7, kinds, 30, gap=(1, 2), lasting=20, kill_inside=True)
    assert made != plan(8, kinds, 30, gap=(1, 2), lasting=20, kill_inside=True)
    assert Counter(one.fault for one in made) == dict.fromkeys(kinds, 10)
    assert all(1 <= one.wait <= 2 for one in made)
    for one in made:
        lasts = one.fault is not Fault.BRIDGE_KILL
        assert one.seconds == (20 if lasts else 0)
        assert (one.bridge_dies is not None) == lasts
        assert one.bridge_dies is None or 4 <= one.bridge_dies <= 16
    assert plan(7, (), 30) == ()


def test_the_callers_script_is_xml_and_crowds_add_up() -> None:
    ElementTree.fromstring(callers._SCENARIO)
    assert sum(crowd.at_once for crowd in callers.crowds(55)) == pytest.approx(55, rel=0.01)
    quick = callers.crowds(55, pace=0.5)
    assert sum(crowd.at_once for crowd in quick) == pytest.approx(55, rel=0.01)
    assert max(crowd.stay for crowd in quick) == 30


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1000):
        writer.write(data)
    writer.close()


async def test_the_proxy_passes_stalls_swallows_slows_and_cuts() -> None:
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    proxy = Proxy("127.0.0.1", 0, server.sockets[0].getsockname())
    await proxy.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)

    async def heard(count: int, within: float = 5) -> bytes:
        async with asyncio.timeout(within):
            return await reader.readexactly(count)

    try:
        writer.write(b"one")
        assert await heard(3) == b"one"
        proxy.become(Mode.STALL)
        writer.write(b"two")
        with pytest.raises(TimeoutError):
            await heard(3, within=0.3)
        proxy.become(Mode.PASS)
        assert await heard(3) == b"two", "what was held comes"
        proxy.become(Mode.SLOW)
        writer.write(bytes(3 * SLOW_BYTES))
        began = asyncio.get_running_loop().time()
        await heard(3 * SLOW_BYTES)
        assert asyncio.get_running_loop().time() - began > 0.4
        proxy.become(Mode.SWALLOW)
        writer.write(b"three")
        with pytest.raises(TimeoutError):
            await heard(1, within=0.3)
        proxy.become(Mode.PASS)
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await heard(1)
        proxy.become(Mode.CUT)
        other, mine = await asyncio.open_connection("127.0.0.1", proxy.port)
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await other.readexactly(1)
        mine.close()
    finally:
        writer.close()
        await proxy.close()
        server.close()
