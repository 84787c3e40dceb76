"""Who is banned from the SIP port, for how long, and who never is; and the watch that does it, on files."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cti.asterisk.bans import BANNED, COUNTED, FEW, BanList
from cti.asterisk.refusals import Heard, Knock
from cti.clock import SystemClock
from cti.errors import RemoteError
from cti.metrics.registry import Metrics
from cti.model.alerts import Figure
from cti.services.alarms import Alarms
from cti.services.sip_troubles import SipTroubles
from cti.settings import Settings
from cti.sip_guard import SipGuard, networks
from tests.support.floor_rig import FloorRig

T0 = datetime(2026, 11, 22, 12, tzinfo=UTC)
TEN = timedelta(minutes=10)


def knocks(count: int, address: str = "192.0.2.9", knock: Knock = Knock.WRONG, *, account: str = "") -> list[Heard]:
    return [Heard(knock=knock, address=address, direct=True, account=account)] * count


def test_who_is_refused_too_often_in_a_minute_is_banned_and_let_in_again() -> None:
    bans = BanList(after=100, lasting=TEN)
    bans.hear(knocks(99), T0)
    assert bans.ban(T0) == []
    bans.hear(knocks(99), T0 + timedelta(seconds=61))  # another minute
    assert bans.ban(T0 + timedelta(seconds=61)) == []
    bans.hear(knocks(1, knock=Knock.CHALLENGED), T0 + timedelta(seconds=62))
    now = T0 + timedelta(seconds=62)
    (ban,) = bans.ban(now)
    assert (ban.network, ban.until) == ("192.0.2.9/32", now + TEN)
    assert bans.ban(now) == []
    assert bans.expire(now + TEN - timedelta(seconds=1)) == []
    assert bans.expire(now + TEN) == [ban]
    assert bans.written() == ""


def test_who_comes_again_stays_out_twice_as_long_a_day_at_most() -> None:
    bans = BanList(after=10, lasting=TEN)
    now, lasted = T0, []
    for _ in range(12):
        bans.hear(knocks(10), now)
        (ban,) = bans.ban(now)
        lasted.append(ban.lasting)
        now = ban.until
        bans.expire(now)
    assert lasted[:3] == [TEN, 2 * TEN, 4 * TEN]
    assert lasted[-1] == timedelta(days=1)
    now += timedelta(days=1, seconds=1)
    bans.expire(now)
    bans.hear(knocks(10), now)
    assert bans.ban(now)[0].lasting == TEN  # forgotten


def crowd(count: int, each: int, first: str = "203.0.113.1") -> list[Heard]:
    begin = ipaddress.ip_address(first)
    return [one for n in range(count) for one in knocks(each, str(begin + n))]


def test_many_who_are_together_as_loud_as_one_are_banned_as_one_is() -> None:
    bans = BanList(after=300, lasting=TEN)
    bans.hear(crowd(14, FEW + 1), T0)  # 294 refusals
    assert bans.ban(T0) == []
    bans.hear(knocks(6, "203.0.113.14"), T0)
    assert len(bans.ban(T0)) == 14
    assert bans.ban(T0) == []


def test_whoever_was_refused_a_few_times_is_no_part_of_a_flood() -> None:
    bans = BanList(after=300, lasting=TEN)
    bans.hear(crowd(250, FEW) + crowd(40, 150, "198.51.100.1"), T0)
    assert sorted(ban.network for ban in bans.ban(T0)) == sorted(f"198.51.100.{n + 1}/32" for n in range(40))
    few = BanList(after=300, lasting=TEN)
    few.hear(crowd(2000, FEW, "203.0.0.0"), T0)
    assert few.ban(T0) == []


def test_one_who_is_loud_takes_nobody_with_them_and_neither_do_those_who_are_safe() -> None:
    bans = BanList(after=300, lasting=TEN, never=(ipaddress.ip_network("198.51.100.0/24"),))
    trusted = [Heard(knock=Knock.ACCEPTED, address=f"203.0.113.{n}", account="1001") for n in range(1, 41)]
    bans.hear(
        [*trusted, *crowd(40, 100), *crowd(40, 100, "198.51.100.1"), *knocks(1000), *knocks(200, "192.0.2.7")], T0
    )
    assert [ban.network for ban in bans.ban(T0)] == ["192.0.2.9/32"]


def test_addresses_of_one_customer_count_as_one() -> None:
    """Of IPv6 everybody has 2^64 of them."""
    bans = BanList(after=300, lasting=TEN, never=(ipaddress.ip_network("2001:db8:0:9::7/128"),))
    bans.hear(crowd(300, 1, "2001:db8:0:7::1") + crowd(300, 1, "2001:db8:0:9::100"), T0)
    assert [ban.network for ban in bans.ban(T0)] == ["2001:db8:0:7::/64"]  # the other has somebody who is never banned


def test_a_phone_that_is_let_in_is_no_offender() -> None:
    bans = BanList(after=10, lasting=TEN)
    for _ in range(500):  # each is challenged, then let in
        bans.hear(knocks(1, knock=Knock.CHALLENGED) + knocks(1, knock=Knock.ACCEPTED, account="webcall"), T0)
    assert bans.ban(T0) == []


def test_an_office_with_one_phone_that_has_an_old_password_is_not_shut_out() -> None:
    bans = BanList(after=10, lasting=TEN)
    bans.hear([Heard(knock=Knock.ACCEPTED, address="192.0.2.9", account="1002-web")], T0)  # by a browser
    bans.hear(knocks(1000), T0)
    assert bans.ban(T0) == []
    late = T0 + timedelta(hours=3)  # nobody has been let in for long
    bans.hear(knocks(1000), late)
    assert len(bans.ban(late)) == 1


def test_an_account_that_anybody_gets_earns_no_trust() -> None:
    bans = BanList(after=10, lasting=TEN)
    bans.hear(knocks(1, knock=Knock.ACCEPTED, account="webcall"), T0)
    bans.hear(knocks(11), T0)
    assert len(bans.ban(T0)) == 1


def test_never_is_never_and_nothing_is_too_many() -> None:
    never = (ipaddress.ip_network("198.51.100.0/24"), ipaddress.ip_network("2001:db8::/32"))
    bans = BanList(after=1, lasting=TEN, never=never)
    bans.hear(knocks(9, "198.51.100.7") + knocks(9, "2001:db8::1") + knocks(9, "2001:db9::1"), T0)
    assert [ban.network for ban in bans.ban(T0)] == ["2001:db9::/64"]
    many = BanList(after=1, lasting=TEN)
    many.hear(crowd(COUNTED + 50, 1, "10.0.0.0"), T0)
    assert len(many.ban(T0)) == BANNED == len(many.bans)
    off = BanList(after=0, lasting=TEN)
    off.hear(knocks(100_000), T0)
    assert off.ban(T0) == []


def test_the_list_is_read_back_but_what_is_over() -> None:
    bans = BanList(after=1, lasting=TEN)
    bans.hear(knocks(1, "192.0.2.1") + knocks(2, "2001:db9::1"), T0)
    bans.ban(T0)
    text = bans.written()
    assert text.startswith(
        "[cti-banned]\ntype = acl\ndeny = 2001:db9::/64 ; until 2026-11-22T12:10:00+00:00 of 600 s\n"
    )
    again = BanList(after=1, lasting=TEN)
    again.read(text, T0 + timedelta(minutes=9))
    assert again.bans == bans.bans
    again = BanList(after=1, lasting=TEN)
    again.read(text + "deny = nonsense ; until tomorrow of 3 s\n", T0 + TEN)
    assert again.bans == {}


def test_an_alert_counts_the_last_minute() -> None:
    troubles = SipTroubles()
    assert not troubles.any()
    assert troubles.refused(T0) == 0
    for second in range(120):
        troubles.told(T0 + timedelta(seconds=second), 10)
    assert troubles.refused(T0 + timedelta(seconds=119)) == 600
    assert troubles.refused(T0 + timedelta(seconds=300)) == 0
    assert not troubles.any()
    troubles.told(T0, -5)
    assert troubles.refused(T0) == 0
    assert Alarms().sip.refused(T0) == 0


class Asterisk:
    """Takes a reload, or does not."""

    def __init__(self) -> None:
        self.reloads: list[str] = []
        self.away = False

    async def reload(self, module: str) -> None:
        if self.away:
            raise RemoteError("no link")
        self.reloads.append(module)


def guard_in(folder: Path, **sip: object) -> tuple[SipGuard, Asterisk, FloorRig, Metrics]:
    settings = Settings.model_validate({"data": folder, "sip": {"ban_after": 10, **sip}})
    (folder / "cti").mkdir(parents=True)
    (folder / "log").mkdir()
    rig, asterisk, metrics = FloorRig(), Asterisk(), Metrics()
    guard = SipGuard(settings, asterisk=asterisk, etc=folder, board=rig.board, metrics=metrics, clock=SystemClock())
    return guard, asterisk, rig, metrics


async def test_a_ban_is_written_and_asterisk_told_also_when_it_is_away_at_first(tmp_path: Path) -> None:
    guard, asterisk, rig, metrics = guard_in(tmp_path / "etc")
    file = tmp_path / "etc" / "cti" / "banned.conf"
    await guard.turn(knocks(5))
    assert not file.exists()
    assert not asterisk.reloads
    asterisk.away = True
    await guard.turn(knocks(5))
    assert "deny = 192.0.2.9/32 ; until" in file.read_text()
    assert metrics.registry.get_sample_value("cti_sip_banned") == 0
    asterisk.away = False
    await guard.turn([])
    assert asterisk.reloads == ["res_pjsip.so"]
    assert metrics.registry.get_sample_value("cti_sip_banned") == 1
    assert metrics.registry.get_sample_value("cti_sip_knocks_total", {"result": "wrong"}) == 10
    assert rig.board.alarms.sip.refused(SystemClock().now()) == 10
    assert Figure.SIP_REFUSED in rig.board.centre.alerts.of(None)


async def test_the_watch_waits_for_the_file_and_takes_up_former_bans(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cti.sip_guard.EVERY", 0.01)
    guard, asterisk, _rig, metrics = guard_in(tmp_path / "etc")
    former = BanList(after=1, lasting=TEN)
    former.hear(knocks(1), SystemClock().now())
    former.ban(SystemClock().now())
    (tmp_path / "etc" / "cti" / "banned.conf").write_text(former.written())
    running = asyncio.create_task(guard.run())
    try:
        notices = tmp_path / "etc" / "log" / "notices.log"
        notices.write_text("")
        async with asyncio.timeout(60):
            while not asterisk.reloads:  # noqa: ASYNC110 - a file has no event
                await asyncio.sleep(0.01)
        assert metrics.registry.get_sample_value("cti_sip_banned") == 1
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


async def test_a_carrier_by_name_is_known_by_its_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    async def addresses(name: str, _port: None) -> list[tuple[int, int, int, str, tuple[str, int]]]:
        if name != "carrier.example":
            raise OSError(name)
        return [(2, 1, 6, "", ("192.0.2.7", 0))]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", addresses, raising=False)
    assert await networks("192.0.2.0/24") == [ipaddress.ip_network("192.0.2.0/24")]
    assert await networks("carrier.example") == [ipaddress.ip_network("192.0.2.7")]
    assert await networks("no-such-name.invalid") == []


def test_who_is_trusted_stays_so_while_not_all_can_be_read() -> None:
    bans = BanList(after=10, lasting=TEN)
    bans.hear(knocks(1, knock=Knock.ACCEPTED, account="1001"), T0)
    for hours in range(1, 6):
        bans.keep_trust(T0 + timedelta(hours=hours))
    bans.hear(knocks(50), T0 + timedelta(hours=6))
    assert bans.ban(T0 + timedelta(hours=6)) == []
    bans.keep_trust(T0 + timedelta(hours=9))  # it was over by then
    bans.hear(knocks(50), T0 + timedelta(hours=9))
    assert [ban.network for ban in bans.ban(T0 + timedelta(hours=9))] == ["192.0.2.9/32"]


async def test_whatever_fails_the_watch_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    guard, _, _, _ = guard_in(tmp_path)
    turns = 0

    async def fails(_heard: object) -> None:
        nonlocal turns
        turns += 1
        raise UnicodeError("a name that is none")

    monkeypatch.setattr("cti.sip_guard.EVERY", 0.0)
    monkeypatch.setattr(guard, "turn", fails)
    (tmp_path / "log" / "notices.log").write_text("")
    running = asyncio.create_task(guard.run())
    async with asyncio.timeout(60):
        while turns < 3:  # noqa: ASYNC110 - it gives way to the watch
            await asyncio.sleep(0.01)
    assert not running.done()
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
