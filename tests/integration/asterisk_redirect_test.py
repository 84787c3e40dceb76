"""No Redirect at any moment loses a caller: thousands of calls, redirected when it hurts most.

The PBX loop and a Redirect write the same place. Without the dialplan's two rules (see asterisk_conf/include/
extensions.conf.j2) some callers in a thousand are hung up ("Auto fallthrough") although nobody asked for it.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.integration.asterisk_rig import AgiSession, Rig, keep_waiting, running_asterisk, until
from tests.support.sipp import Sipp

pytestmark = pytest.mark.real

CALLS = 3000
RATE = 40
IN_FLIGHT = 150
"""A slow machine makes fewer calls a second, not more at once."""
DEADLINE_SECONDS = 900
"""What hangs is found; a slow machine is let be."""
VISIT_SECONDS = 2
NUDGE_AFTER_SECONDS = 4.0
"""So long after a Redirect it is looked where a caller is who was not answered: two visits of the wait loop."""


@dataclass(slots=True)
class Driver:
    """Redirects every waiting caller at a moment of its plan; some are sent through the wait or flow context first."""

    rig: Rig
    chance: random.Random
    waits: Counter[str] = field(default_factory=Counter)
    plans: Counter[str] = field(default_factory=Counter)
    rounds: Counter[str] = field(default_factory=Counter)
    answered: set[str] = field(default_factory=set)
    ended: set[str] = field(default_factory=set)
    at_visit: set[str] = field(default_factory=set)
    history: dict[str, list[str]] = field(default_factory=dict)
    offers: int = 0
    again: int = 0
    visits: Counter[str] = field(default_factory=Counter)
    """Of the wait loop, by channel."""
    overlooked: list[str] = field(default_factory=list)
    """Whose Redirect did nothing and nobody said so."""

    def on_event(self, event: dict[str, str]) -> None:
        """Follow the calls."""
        channel = event.get("Channel", "")
        self.history.setdefault(channel, []).append(
            f"{event.get('Timestamp')} {event.get('UserEvent') or event.get('Event')} {event.get('Context')},"
            f"{event.get('Exten')},{event.get('Priority')} {event.get('DialStatus', '')} {event.get('Cause', '')}"
        )
        if event.get("UserEvent") == "CtiWait":
            self._plan(channel)
        elif event.get("Event") == "DialEnd" and event.get("DialStatus") == "ANSWER":
            self.answered.add(channel)
        elif event.get("Event") == "Hangup" and channel.startswith("PJSIP/trunk-"):
            self.ended.add(channel)

    def _plan(self, channel: str) -> None:
        self.waits[channel] += 1
        if self.waits[channel] > 1:
            self.again += 1
        loop = asyncio.get_running_loop()
        if self.waits[channel] > 5:  # the phone or the machine is behind; no storm
            loop.call_later(1, self._deliver, channel)
            return
        plan = self.chance.choices(("at once", "at expiry", "any time", "at visit"), (15, 50, 10, 25))[0]
        self.plans[plan] += 1
        # A third of the callers first go round through the wait context, or the flow's, which sends them to wait again.
        act = self._round if self.waits[channel] == 1 and self.chance.random() < 0.33 else self._deliver
        if plan == "at once":
            loop.call_later(self.chance.uniform(0, 0.002), act, channel)
        elif plan == "at expiry":
            loop.call_later(VISIT_SECONDS + self.chance.uniform(-0.001, 0.005), act, channel)
        elif plan == "any time":
            loop.call_later(self.chance.uniform(0, VISIT_SECONDS + 0.5), act, channel)
        else:
            self.at_visit.add(channel)

    async def on_visit(self, session: AgiSession) -> None:
        """The bridge answers the visit; for some, the Redirect comes as AGI returns."""
        self.visits[session.channel] += 1
        await keep_waiting(session)
        if session.channel in self.at_visit:
            self.at_visit.discard(session.channel)
            asyncio.get_running_loop().call_later(self.chance.uniform(0, 0.0015), self._deliver, session.channel)

    def _round(self, channel: str) -> None:
        if channel not in self.ended:
            context = self.chance.choice(("cti-wait", "cti-flow"))
            self.rounds[context] += 1
            self.rig.ami.send(Action="Redirect", Channel=channel, Context=context, Exten="s", Priority="1")

    def _deliver(self, channel: str) -> None:
        if channel in self.answered or channel in self.ended:
            return
        self.offers += 1
        self.rig.deliver(channel, self.offers)
        asyncio.get_running_loop().call_later(
            NUDGE_AFTER_SECONDS, self._nudge, channel, len(self.history[channel]), self.visits[channel]
        )

    def _nudge(self, channel: str, heard: int, visits: int) -> None:
        """Who was rung for since is being served, however slowly; who only made another visit of the wait loop was overlooked."""
        if channel in self.answered or channel in self.ended:
            return
        since = self.history[channel][heard:]
        if any(" DialBegin " in line for line in since) or self.visits[channel] < visits + 2:
            asyncio.get_running_loop().call_later(NUDGE_AFTER_SECONDS, self._nudge, channel, heard, visits)
        elif not any(" CtiWait " in line for line in since):  # it says so: then it is planned anew
            self.overlooked.append(channel)
            self._deliver(channel)


async def redirect_many(folder: Path, calls: int, rate: int, seed: int) -> tuple[Driver, list[str]]:
    """Make the calls; returns what became of them and Asterisk's warnings."""
    survival = {"wait_visit_seconds": VISIT_SECONDS, "wait_misses": 100}
    async with running_asterisk(folder, survival=survival) as rig, rig.phone("1001") as phone:
        phone.talk_seconds = 0.2
        await phone.register()
        driver = Driver(rig, random.Random(seed))
        rig.ami.on_event = driver.on_event
        rig.bridge.handlers["wait"] = driver.on_visit
        async with Sipp(
            "caller_stays",
            local=rig.carrier,
            remote=rig.sip,
            keys={"number": "+15551234567", "display": "Caller"},
            calls=calls,
            rate=rate,
            limit=IN_FLIGHT,
            timeout_seconds=DEADLINE_SECONDS,
        ) as callers:
            result = await callers.finished()
        assert result.successful == calls, (result, driver.plans)
        await until(lambda: len(driver.ended) >= calls, "the last hang-up")
        return driver, rig.log_lines("WARNING", "ERROR")


@pytest.mark.timeout(DEADLINE_SECONDS + 30)
async def test_no_redirect_loses_a_caller(tmp_path: Path) -> None:
    async with asyncio.timeout(DEADLINE_SECONDS):  # so that Asterisk is stopped whatever happens
        driver, warnings = await redirect_many(tmp_path, CALLS, RATE, seed=1)
    lost = driver.ended - driver.answered
    print(
        f"{len(driver.answered)} answered, {len(lost)} lost, plans {dict(driver.plans)}, rounds {dict(driver.rounds)},"
        f" {len(driver.overlooked)} overlooked"
    )
    assert lost == set(), "\n".join(line for channel in lost for line in driver.history[channel])
    assert len(driver.answered) == CALLS
    # A Redirect written over by a jump at that very moment leaves the caller waiting, and CtiWait says so.
    assert driver.overlooked == [], "\n".join(line for channel in driver.overlooked for line in driver.history[channel])
    assert not [line for line in warnings if "fallthrough" in line or "such priority" in line or "invalid" in line]
