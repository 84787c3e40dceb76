"""Who is given a secret, and when it ends, with a made-up Asterisk and clock."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from cti.errors import CtiError, RemoteError
from cti.ids import CallId, ChannelName
from cti.model.signals import CallerEntered, ChannelGone, LinkLost, LiveChannel, Snapshot
from cti.services import page_phones
from cti.services.page_phones import GRACE, VISITOR_SECONDS, PagePhones
from cti.services.phone_secrets import (
    CLOSED,
    VISITORS,
    Kept,
    LinesBusy,
    PageLogin,
    SecretsStand,
    line_names,
    places_of,
)

ACCOUNT = "1001-web"
BEGAN = datetime(2026, 3, 2, 9, tzinfo=UTC)


@dataclass
class StandingClock:
    """Moved by hand."""

    at: datetime = BEGAN

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()


@dataclass
class MadeUpAsterisk:
    """Keeps what it is told; `up` False is a link that is away."""

    up: bool = True
    takes: bool = True
    secrets: dict[str, str] = field(default_factory=dict)
    marks: dict[str, str] = field(default_factory=dict)
    tickets: dict[str, int] = field(default_factory=dict)
    stand: set[str] = field(default_factory=set)
    """Accounts that it lets in by a password in its files."""
    meanwhile: Callable[[], object] = lambda: None
    """Happens once, before it has done what it is told about a ticket."""

    def connected(self) -> bool:
        return self.up

    def _reached(self) -> None:
        if not self.up:
            raise RemoteError("there is no link")

    async def read(self) -> Kept:
        self._reached()
        return Kept(marks=dict(self.marks), tickets=dict(self.tickets))

    async def put(self, place: str, *, account: str, secret: str, mark: str) -> None:
        self._reached()
        assert account == (place if place.startswith("webcall-") else place.rpartition(".")[0])
        self.secrets[place], self.marks[place] = secret, mark

    async def ticket(self, line: str, until: int) -> None:
        self._reached()
        if until:
            now, self.meanwhile = self.meanwhile, lambda: None
            now()
        self.tickets[line] = until

    async def forget(self, place: str) -> None:
        self._reached()
        del self.secrets[place], self.marks[place]

    async def believes(self, account: str, place: str) -> bool:
        self._reached()
        return (self.takes and place in self.secrets) or place in self.stand

    def opens(self, account: str, secret: str) -> bool:
        return any(self.secrets.get(place) == secret for place in (account, *places_of(account)))


def login(nonce: str, *, username: str = "1001", ends: int = 2_000_000_000) -> PageLogin:
    return PageLogin(username=username, role="agent", nonce=nonce, epoch=0, ends=ends)


def snapshot(clock: StandingClock, *channels: str) -> Snapshot:
    live = tuple(
        LiveChannel(
            channel=ChannelName(name), unique_id="a1-1.1", call_id=None, offer_id=None, agent_id=None, device=None,
            context="cti-wait", state="Up", bridge_id=None, queue=None, caller_number=None, did="5000", seconds=9.0,
        )
        for name in channels
    )  # fmt: skip
    return Snapshot(at=clock.now(), channels=live, devices=(), restarted=False)


@dataclass
class Stage:
    """Phones that run, and what they run on."""

    asterisk: MadeUpAsterisk
    clock: StandingClock
    accounts: set[str]
    phones: PagePhones

    async def until(self, condition: object) -> None:
        async with asyncio.timeout(60):
            while not condition():  # type: ignore[operator]  # noqa: ASYNC110
                await asyncio.sleep(0)

    def later(self, seconds: float) -> None:
        self.clock.at += timedelta(seconds=seconds)
        self.phones._wake.set()

    def enters(self, account: str, number: int = 1) -> ChannelName:
        channel = ChannelName(f"PJSIP/{account}-{number:08x}")
        self.phones.hear(
            CallerEntered(
                at=self.clock.now(), call_id=CallId(f"a1-{number}"), channel=channel, caller_number=None, did="5000"
            )
        )
        return channel

    def leaves(self, channel: ChannelName) -> None:
        self.phones.hear(
            ChannelGone(
                at=self.clock.now(),
                channel=channel,
                call_id=None,
                agent_id=None,
                is_caller=True,
                cause=16,
                unique_id="",
            )
        )


@contextlib.asynccontextmanager
async def stage(
    asterisk: MadeUpAsterisk | None = None,
    clock: StandingClock | None = None,
    *channels: str,
    lines: int = 8,
    ahead: Callable[[], timedelta] = timedelta,
    behind_proxy: bool = False,
) -> AsyncIterator[Stage]:
    asterisk, clock = asterisk or MadeUpAsterisk(), clock or StandingClock()
    accounts = {ACCOUNT, "boss-web"}
    phones = PagePhones(
        asterisk, accounts=lambda: accounts, lines=lines, clock=clock, ahead=ahead, behind_proxy=behind_proxy
    )
    phones.hear(snapshot(clock, *channels))
    running = asyncio.create_task(phones.run())
    try:
        yield Stage(asterisk, clock, accounts, phones)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_every_place_has_a_secret_that_nobody_was_told() -> None:
    async with stage() as here:
        await here.until(lambda: here.phones._ready.is_set())
        wanted = {*places_of(ACCOUNT), *places_of("boss-web"), *line_names(8)}
        assert set(here.asterisk.secrets) == wanted
        assert set(here.asterisk.marks.values()) == {CLOSED}
        assert len(set(here.asterisk.secrets.values())) == len(wanted)
        assert set(here.asterisk.tickets.values()) == {0}
        # The centre changes: who is new has them at once, who has gone has none.
        here.accounts.remove("boss-web")
        here.accounts.add("1003-web")
        await here.phones.for_page("1003-web", login("new", username="1003"))
        assert set(places_of("1003-web")) <= here.asterisk.secrets.keys()
        here.later(1)
        await here.until(lambda: not set(places_of("boss-web")) & here.asterisk.secrets.keys())


async def test_a_page_does_not_break_another() -> None:
    async with stage() as here:
        desk, home = login("desk"), login("home")
        first = await here.phones.for_page(ACCOUNT, desk)
        second = await here.phones.for_page(ACCOUNT, home)
        third = await here.phones.for_page(ACCOUNT, desk)
        assert len({first, second, third}) == 3
        assert all(here.asterisk.opens(ACCOUNT, one) for one in (first, second, third))
        # The same page loaded again and again takes its own places.
        again = [await here.phones.for_page(ACCOUNT, desk) for _ in range(10)]
        assert here.asterisk.opens(ACCOUNT, second)
        assert [here.asterisk.opens(ACCOUNT, one) for one in again[-2:]] == [True, True]
        here.later(GRACE + 1)
        await here.until(lambda: not here.asterisk.opens(ACCOUNT, again[-2]))
        assert here.asterisk.opens(ACCOUNT, again[-1])
        assert here.asterisk.opens(ACCOUNT, second)
        # More log-ins than places: the oldest goes.
        for nonce in ("x", "y"):
            await here.phones.for_page(ACCOUNT, login(nonce))
        assert not here.asterisk.opens(ACCOUNT, second)
        assert here.asterisk.opens(ACCOUNT, again[-1])


async def test_a_log_out_ends_what_its_pages_have_also_while_the_link_is_away() -> None:
    async with stage() as here:
        one = await here.phones.for_page(ACCOUNT, login("desk"))
        two = await here.phones.for_page(ACCOUNT, login("home"))
        here.phones.ended("desk")
        await here.until(lambda: not here.asterisk.opens(ACCOUNT, one))
        assert here.asterisk.opens(ACCOUNT, two)
        here.asterisk.up = False
        here.phones.hear(LinkLost(at=here.clock.now()))
        here.phones.look(lambda held: held.nonce != "home")
        assert here.asterisk.opens(ACCOUNT, two)
        here.asterisk.up = True
        here.phones.hear(snapshot(here.clock))
        await here.until(lambda: not here.asterisk.opens(ACCOUNT, two))


async def test_a_bridge_that_is_back_knows_whose_they_are() -> None:
    async with stage() as here:
        desk = await here.phones.for_page(ACCOUNT, login("desk"))
        gone = await here.phones.for_page("boss-web", login("gone", username="boss"))
        unused, used, talking, late = [await here.phones.for_visitor(f"192.0.2.{n}") for n in range(4)]
        asterisk, clock = here.asterisk, here.clock
    asterisk.tickets[used.account] = 0  # what the dialplan does
    asterisk.tickets[talking.account] = 0
    asterisk.tickets[late.account] = late.until - 1
    async with stage(asterisk, clock, f"PJSIP/{talking.account}-0000000a") as here:
        here.phones.ended("gone")  # before anything is known
        await here.until(lambda: here.phones._ready.is_set())
        assert asterisk.opens(ACCOUNT, desk)
        assert not asterisk.opens("boss-web", gone)
        assert asterisk.opens(unused.account, unused.secret)
        for line in (used, talking, late):
            assert not asterisk.opens(line.account, line.secret)
        given = {(await here.phones.for_visitor(f"198.51.100.{n}")).account for n in range(6)}
        assert not given & {unused.account, talking.account}
        with pytest.raises(LinesBusy):
            await here.phones.for_visitor("198.51.100.9")
        here.leaves(ChannelName(f"PJSIP/{talking.account}-0000000a"))
        assert (await here.phones.for_visitor("198.51.100.9")).account == talking.account


async def test_one_secret_one_call_and_the_line_is_free_afterwards() -> None:
    async with stage(lines=2) as here:
        line = await here.phones.for_visitor("192.0.2.1")
        assert here.asterisk.tickets[line.account] == line.until == int(BEGAN.timestamp()) + VISITOR_SECONDS
        channel = here.enters(line.account)
        await here.until(lambda: not here.asterisk.opens(line.account, line.secret))
        other = await here.phones.for_visitor("192.0.2.2")
        assert other.account != line.account
        with pytest.raises(LinesBusy) as busy:
            await here.phones.for_visitor("192.0.2.3")
        assert busy.value.retry_after == VISITOR_SECONDS
        here.leaves(ChannelName(f"PJSIP/{line.account}-000000ff"))  # one that was refused
        with pytest.raises(LinesBusy):
            await here.phones.for_visitor("192.0.2.3")
        here.leaves(channel)
        assert (await here.phones.for_visitor("192.0.2.3")).account == line.account
        here.later(VISITOR_SECONDS)
        await here.until(lambda: not here.asterisk.opens(other.account, other.secret))
        assert here.asterisk.tickets == dict.fromkeys(line_names(2), 0)


async def test_one_address_does_not_get_all_lines() -> None:
    async with stage(lines=8) as here:
        mine = [await here.phones.for_visitor("192.0.2.1") for _ in range(50)]
        assert {line.account for line in mine} == set(line_names(8)[:2])
        assert sum(here.asterisk.opens(line.account, line.secret) for line in mine) == 2
        others = {(await here.phones.for_visitor(f"198.51.100.{n}")).account for n in range(6)}
        assert others == set(line_names(8)[2:])


async def test_an_address_in_calls_has_no_more_than_its_share() -> None:
    async with stage(lines=8) as here:
        mine = [await here.phones.for_visitor("192.0.2.1") for _ in range(2)]
        talks = here.enters(mine[0].account, 1)
        # One in a call and one unused: the unused one is what it gets.
        again = await here.phones.for_visitor("192.0.2.1")
        assert again.account == mine[1].account
        here.enters(again.account, 2)
        with pytest.raises(LinesBusy, match="2 calls") as busy:
            await here.phones.for_visitor("192.0.2.1")
        assert busy.value.retry_after == 60
        await here.phones.for_visitor("192.0.2.2")
        here.leaves(talks)
        await here.phones.for_visitor("192.0.2.1")
    for lines, share in ((1, 1), (2, 1), (3, 1), (4, 2), (8, 2), (20, 5)):
        async with stage(lines=lines) as here:
            # Of IPv6 a /64 is one; IPv4 may come written as IPv6.
            for n in range(share):
                here.enters((await here.phones.for_visitor(f"2001:db8::{n + 1:x}")).account, n)
            with pytest.raises(LinesBusy):
                await here.phones.for_visitor("2001:db8::ffff")
            if share < lines:
                await here.phones.for_visitor("2001:db8:0:1::1")
                mapped = await here.phones.for_visitor("::ffff:192.0.2.1") if lines > 2 else None
                assert mapped is None or here.phones._lines[mapped.account].address == "192.0.2.1/32"


async def test_behind_a_proxy_an_address_says_nothing() -> None:
    async with stage(lines=4, behind_proxy=True) as here:
        given = [await here.phones.for_visitor("192.0.2.1") for _ in range(4)]
        assert {line.account for line in given} == set(line_names(4))
        with pytest.raises(LinesBusy, match="all 4"):
            await here.phones.for_visitor("192.0.2.1")
        assert all(here.asterisk.opens(line.account, line.secret) for line in given)


async def test_a_call_that_begins_while_its_line_is_given_again_keeps_it() -> None:
    async with stage(lines=4) as here:
        mine = [await here.phones.for_visitor("192.0.2.1") for _ in range(2)]
        here.asterisk.meanwhile = lambda: here.enters(mine[0].account)
        more = await here.phones.for_visitor("192.0.2.1")
        assert more.account == mine[1].account
        assert here.phones._lines[mine[0].account].channel
        await here.until(lambda: here.asterisk.marks[mine[0].account] == CLOSED)
        assert here.asterisk.tickets[mine[0].account] == 0
        assert here.asterisk.opens(more.account, more.secret)


async def test_tickets_are_in_the_time_that_the_dialplan_compares_with() -> None:
    ahead = timedelta(hours=-1)
    async with stage(lines=4, ahead=lambda: ahead) as here:
        machine = int((BEGAN - ahead).timestamp())
        line = await here.phones.for_visitor("192.0.2.1")
        assert here.asterisk.tickets[line.account] == line.until == machine + VISITOR_SECONDS
        asterisk, clock = here.asterisk, here.clock
    async with stage(asterisk, clock, lines=4, ahead=lambda: ahead) as here:
        await here.until(lambda: here.phones._ready.is_set())
        assert asterisk.opens(line.account, line.secret)
        # The machine's clock is put back: by it the ticket has an hour more, which is not waited for.
        ahead = timedelta()
        here.later(VISITOR_SECONDS - 1)
        await here.until(lambda: not here.phones._wake.is_set())
        assert asterisk.opens(line.account, line.secret)
        here.later(1)
        await here.until(lambda: not asterisk.opens(line.account, line.secret))
        assert asterisk.tickets[line.account] == 0
        other = await here.phones.for_visitor("192.0.2.1")
        # It is put on: Asterisk takes no ticket from before, and so the line is free.
        ahead = timedelta(hours=-1)
        here.later(0)
        await here.until(lambda: not asterisk.opens(other.account, other.secret))


async def test_an_asterisk_that_was_started_before_has_standing_passwords() -> None:
    old = MadeUpAsterisk(takes=False, stand={ACCOUNT, VISITORS})
    async with stage(old) as here:
        with pytest.raises(SecretsStand):
            await here.phones.for_page(ACCOUNT, login("desk"))
        with pytest.raises(SecretsStand):
            await here.phones.for_visitor("192.0.2.1")
        with pytest.raises(RemoteError, match="does not take") as error:
            await here.phones.for_page("boss-web", login("boss"))
        assert not isinstance(error.value, SecretsStand)
        assert not await here.phones.taken()
        assert "older sorcery.conf" in here.phones._told
        # It is asked again each time.
        old.takes, old.stand = True, set()
        assert await here.phones.taken()
        assert old.opens(ACCOUNT, await here.phones.for_page(ACCOUNT, login("desk")))


async def test_what_cannot_be_said_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    asterisk = MadeUpAsterisk()
    read, faults = asterisk.read, [CtiError("that cannot be said")]

    async def fault_first() -> Kept:
        if faults:
            raise faults.pop()
        return await read()

    monkeypatch.setattr(asterisk, "read", fault_first)
    async with stage(asterisk) as here:
        await here.until(lambda: here.phones._told)
        here.later(0)
        assert asterisk.opens(ACCOUNT, await here.phones.for_page(ACCOUNT, login("desk")))


async def test_without_a_link_or_where_asterisk_does_not_take_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_phones, "LINK_PATIENCE", 0.05)
    async with stage(MadeUpAsterisk(up=False)) as here:
        with pytest.raises(RemoteError, match="cannot be reached"):
            await here.phones.for_page(ACCOUNT, login("desk"))
        with pytest.raises(RemoteError, match="cannot be reached"):
            await here.phones.for_visitor("192.0.2.1")
    async with stage(MadeUpAsterisk(takes=False)) as here:
        with pytest.raises(RemoteError) as error:
            await here.phones.for_visitor("192.0.2.1")
        assert "sip.browser_secrets" in error.value.remedy
