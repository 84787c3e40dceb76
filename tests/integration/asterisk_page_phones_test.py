"""Secrets of telephones in pages on a real Asterisk: given, good for what they are for, and of no use afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import stat
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from cti.asterisk.ami.adapter import AmiTelephony
from cti.asterisk.ami.client import AmiLink
from cti.asterisk.ami.kept_secrets import KeptSecrets
from cti.asterisk.ami.translate import accounts_of
from cti.clock import SystemClock
from cti.ids import AgentId
from cti.model.signals import Signal
from cti.services.page_phones import GRACE, VISITOR_SECONDS, PagePhones
from cti.services.phone_secrets import LinesBusy, PageLogin, SecretsStand
from tests.integration.asterisk_rig import Rig, running_asterisk
from tests.support.sip_flood import knocker
from tests.support.web_phone import WebPhone, web_phone

pytestmark = [pytest.mark.real, pytest.mark.beside, pytest.mark.timeout(400)]

ACCOUNT = "1001-web"
LINES = 3


class MovedClock(SystemClock):
    """The machine's, and a while ahead."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def now(self) -> datetime:
        return super().now() + self.ahead


class Bridge:
    """What a bridge has of it: a link, and the owner of the secrets."""

    def __init__(self, rig: Rig, clock: MovedClock) -> None:
        link = AmiLink(
            host="127.0.0.1",
            port=rig.settings.ports.of("ami"),
            username=rig.settings.asterisk.ami_user,
            secret=rig.secrets.ami,
        )
        self.telephony = AmiTelephony(
            link, accounts=accounts_of([AgentId("1001"), AgentId("1002")]), deliver=self.deliver, clock=clock
        )
        self.phones = PagePhones(
            KeptSecrets(self.telephony), accounts=lambda: {ACCOUNT, "1002-web"}, lines=LINES, clock=clock
        )

    def deliver(self, signal: Signal) -> None:
        self.phones.hear(signal)


@contextlib.asynccontextmanager
async def bridge(rig: Rig, clock: MovedClock) -> AsyncIterator[PagePhones]:
    """One that runs, until it is killed."""
    one = Bridge(rig, clock)
    tasks = [asyncio.create_task(one.telephony.run()), asyncio.create_task(one.phones.run())]
    try:
        yield one.phones
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def login(nonce: str) -> PageLogin:
    return PageLogin(username="1001", role="agent", nonce=nonce, epoch=1, ends=2_000_000_000)


def at(rig: Rig, account: str, secret: str) -> contextlib.AbstractAsyncContextManager[WebPhone]:
    return web_phone(f"ws://127.0.0.1:{rig.settings.ports.of('ws')}/ws", account, secret)


async def registers(rig: Rig, secret: str, account: str = ACCOUNT) -> bool:
    """Whether a page with that secret is let in."""
    async with at(rig, account, secret) as phone:
        status = await phone.register()
    assert status in (200, 401)
    return status == 200


async def refused(rig: Rig, *known: str) -> None:
    """Until none of these secrets is good any more; it is ended a moment after what ends it."""
    async with asyncio.timeout(60):
        for secret in known:
            while await registers(rig, secret):  # noqa: ASYNC110 - Asterisk has no event for it
                await asyncio.sleep(0.05)


async def test_secrets_of_pages(tmp_path: Path) -> None:
    clock = MovedClock()
    async with running_asterisk(tmp_path, sip={"webcall_lines": LINES}) as rig:
        async with bridge(rig, clock) as phones:
            await an_agents_pages(rig, phones, clock)
            await visitors(rig, phones, clock)
            kept = await phones.for_page(ACCOUNT, login("kept"))
            over = await phones.for_page(ACCOUNT, login("over"))
            line = await phones.for_visitor("192.0.2.7")
            late = await phones.for_visitor("192.0.2.8")
        # No bridge: what is in use stays good, and a visitor's secret still carries one call, within its time.
        assert await registers(rig, kept)
        async with at(rig, line.account, line.secret) as visitor:
            status, call_id, tag = await visitor.call("5000")
            assert status == 200
            async with at(rig, line.account, line.secret) as again:
                assert (await again.call("5000"))[0] == 403
            await visitor.hang_up("5000", call_id, tag)
            assert (await visitor.call("5000"))[0] == 403
        await rig.ami.action(Action="DBPut", Family="cti/webcall", Key=late.account, Val="1000000000")
        async with at(rig, late.account, late.secret) as visitor:
            assert (await visitor.call("5000"))[0] == 403
        async with bridge(rig, clock) as phones:
            # It knows whose they are, and cleans up what was used and what is over.
            phones.ended("over")
            await refused(rig, over)
            assert await registers(rig, kept)
            async with at(rig, line.account, line.secret) as visitor:
                await until_refused(visitor)
            phones.look(lambda one: one.nonce != "kept")
            await refused(rig, kept)
        assert stat.S_IMODE((rig.paths.state / "astdb.sqlite3").stat().st_mode) == 0o600
        log = "".join(file.read_text(errors="replace") for file in rig.paths.log.rglob("*") if file.is_file())
        for secret in (kept, over, line.secret, late.secret):
            assert secret not in log
        # Pages that are closed are asked once more whether they live.
        assert [line for line in rig.log_lines("ERROR") if "sending OPTIONS" not in line] == []


async def test_an_asterisk_that_was_started_before(tmp_path: Path) -> None:
    """It has passwords in its files, and lets nobody in by others: pages are given those."""
    async with (
        running_asterisk(tmp_path, sip={"browser_secrets": "standing"}) as rig,
        bridge(rig, MovedClock()) as phones,
    ):
        with pytest.raises(SecretsStand):
            await phones.for_page(ACCOUNT, login("desk"))
        with pytest.raises(SecretsStand):
            await phones.for_visitor("192.0.2.1")
        assert not await phones.taken()
        for account in (ACCOUNT, "webcall"):
            async with at(rig, account, rig.secrets.sip[account]) as phone:
                assert await phone.register() != 401


async def until_refused(visitor: WebPhone) -> None:
    """Until the secret itself is refused, not the call only."""
    async with asyncio.timeout(60):
        while (await visitor.call("5000"))[0] != 401:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def an_agents_pages(rig: Rig, phones: PagePhones, clock: MovedClock) -> None:
    first = await phones.for_page(ACCOUNT, login("desk"))
    # An account whose secrets nobody has is answered as one that does not exist; so is one that somebody has.
    async with knocker("127.0.0.1", rig.sip, "1001") as stranger:
        for account in (ACCOUNT, "1002-web", "7654"):
            answers = await stranger.ask("REGISTER", account, password="wrong")
            assert [answer.split("\r\n")[0] for answer in answers] == ["SIP/2.0 401 Unauthorized"] * 2
            assert answers[0].count("WWW-Authenticate") == 1
    assert await registers(rig, first)
    assert not await registers(rig, rig.secrets.sip[ACCOUNT])  # of the secrets' file: it opens nothing
    # Another log-in, and a page loaded again: what was given before goes on.
    home = await phones.for_page(ACCOUNT, login("home"))
    again = await phones.for_page(ACCOUNT, login("desk"))
    assert [await registers(rig, one) for one in (first, home, again)] == [True] * 3
    clock.ahead += timedelta(seconds=GRACE + 1)
    await refused(rig, first)
    assert [await registers(rig, one) for one in (home, again)] == [True] * 2
    # Asterisk reads its files again, with all of them in use.
    await rig.ami.action(Action="Reload", Module="res_pjsip.so")
    assert await registers(rig, home)
    # Logged out: of no use, and the other log-in does not notice.
    phones.ended("desk")
    await refused(rig, again)
    assert await registers(rig, home)
    phones.ended("home")
    await refused(rig, home)


async def visitors(rig: Rig, phones: PagePhones, clock: MovedClock) -> None:
    # Which accounts have a password in a file: none of those in pages.
    asked = ("1001", ACCOUNT, "webcall")
    assert [await phones._store.believes(name, name) for name in asked] == [True, False, False]
    one = await phones.for_visitor("192.0.2.1")
    async with at(rig, one.account, one.secret) as visitor:
        assert (await visitor.call("4711"))[0] == 404
        status, call_id, tag = await visitor.call("5000")
        assert status == 200
        await rig.ami.event("CtiInbound", Did="5000")
        async with at(rig, one.account, one.secret) as second:
            assert (await second.call("5000"))[0] in (401, 403)
            await until_refused(second)
        # The call goes on without its secret; all lines are given, and nobody gets this one.
        taken = [await phones.for_visitor(f"192.0.2.{n}") for n in range(2, 1 + LINES)]
        assert one.account not in {line.account for line in taken}
        with pytest.raises(LinesBusy):
            await phones.for_visitor("192.0.2.9")
        assert await visitor.hang_up("5000", call_id, tag) == 200
    async with asyncio.timeout(60):
        while True:
            with contextlib.suppress(LinesBusy):
                freed = await phones.for_visitor("192.0.2.9")
                break
            await asyncio.sleep(0.05)
    assert freed.account == one.account
    assert freed.secret != one.secret
    # Not used in time. A REGISTER is asked for its secret, and uses up no ticket; this account can register nowhere.
    lines = (*taken, freed)
    for line in lines:
        async with at(rig, line.account, line.secret) as visitor:
            assert await visitor.register() not in (200, 401)
    clock.ahead += timedelta(seconds=VISITOR_SECONDS + 1)
    for line in lines:
        async with at(rig, line.account, line.secret) as visitor, asyncio.timeout(60):
            while (status := await visitor.register()) != 401:
                assert status != 200
                await asyncio.sleep(0.05)
            assert (await visitor.call("5000"))[0] == 401
    clock.ahead = timedelta()
