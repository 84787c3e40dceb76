"""The link goes and comes back at any moment of a call; list, ledger and waiting signals are of different ages. The talk in the
record is as long as it was."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import chain

import pytest

from cti.asterisk.cel_facts import infer_facts, read_ledger
from cti.asterisk.cel_known import known_calls
from cti.ids import AgentId, CallId, ChannelName, QueueName
from cti.model import facts as f
from cti.model import signals as s
from cti.services import reconcile
from tests.support import ledger_lines
from tests.support.floor_rig import FloorRig

ADA = AgentId("1001")
LEG = ChannelName("PJSIP/1001-00000009")
LEG_ID = "t1-9.9"
NEAR = timedelta(milliseconds=60)
"""Stamps of the manager link and of the ledger differ by less."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """Something that happens: what the link and the ledger say of it."""

    at: datetime
    signals: tuple[s.Signal, ...]
    lines: str = ""


class Story:
    """One caller who waits, goes by Asterisk's own queue, talks with an agent, and leaves: first of the two or second."""

    def __init__(self, rig: FloorRig, rng: random.Random) -> None:
        self.rig, self.rng = rig, rng
        self.call_id: CallId = rig.call()
        self.caller = rig.channel(self.call_id)
        rig.queue(self.call_id)
        self.began = rig.now
        self.moments: list[Moment] = []
        self._at = rig.now
        for _ in range(rng.randrange(4)):
            self._wait()
        at = self._later()
        survived = s.SurvivalBegan(at=at, call_id=self.call_id, channel=self.caller, queue=QueueName("support"))
        self._happens(at, survived, lines=ledger_lines.own("CTI_SURVIVAL", at, self.call_id, self.caller, "support"))
        self.joined = at = self._later()
        self._bridge("BRIDGE_ENTER", at)
        self.parted = at = self._later()
        self._bridge("BRIDGE_EXIT", at)
        gone = ledger_lines.hangup(at, LEG_ID, LEG, source=LEG, call=self.call_id)
        gone += ledger_lines.hangup(at, self.call_id, self.caller, source=LEG)
        self.gone = at
        both = (
            s.ChannelGone(at=at, call_id=self.call_id, channel=LEG, unique_id=LEG_ID, agent_id=ADA, cause=16, is_caller=False),
            s.ChannelGone(at=at, call_id=self.call_id, channel=self.caller, unique_id=self.call_id, agent_id=None, cause=16, is_caller=True),
        )  # fmt: skip
        self._happens(at, *both, lines=gone)

    def _later(self) -> datetime:
        self._at += timedelta(seconds=self.rng.choice([0.2, 1.0, 4.0, 20.0]) * self.rng.uniform(0.5, 1))
        return self._at

    def _happens(self, at: datetime, *signals: s.Signal, lines: str = "") -> None:
        near = [replace(one, at=one.at + NEAR * self.rng.uniform(-0.4, 0.4)) for one in signals]
        self.moments.append(Moment(at=at, signals=tuple(near), lines=lines))

    def _wait(self) -> None:
        at = self._later()
        self._happens(at, s.WaitEntered(at=at, call_id=self.call_id, channel=self.caller))

    def _bridge(self, event: str, at: datetime) -> None:
        kind = s.BridgeJoined if event == "BRIDGE_ENTER" else s.BridgeParted
        sides = ((self.call_id, self.caller, None), (LEG_ID, LEG, ADA))
        for unique_id, channel, agent_id in sides if self.rng.random() < 0.5 else sides[::-1]:
            signal = kind(at=at, bridge_id="b1", channel=channel, call_id=self.call_id, agent_id=agent_id)
            peer = LEG if channel == self.caller else self.caller
            line = ledger_lines.bridge(event, at, unique_id, channel, bridge_id="b1", call=self.call_id, peer=peer)
            self._happens(at, signal, lines=line)

    def ledger(self, until: datetime) -> str:
        inbound = ledger_lines.own("CTI_INBOUND", self.began, self.call_id, self.caller, "+15550100002", "5000")
        return inbound + "".join(moment.lines for moment in self.moments if moment.at <= until)

    def channels(self, at: datetime) -> tuple[s.LiveChannel, ...]:
        if at >= self.gone:
            return ()
        talking = self.joined <= at < self.parted
        survived = any(isinstance(one, s.SurvivalBegan) for m in self.moments if m.at <= at for one in m.signals)
        caller = s.LiveChannel(
            channel=self.caller,
            unique_id=self.call_id,
            call_id=self.call_id,
            offer_id=None,
            agent_id=None,
            device=None,
            context="cti-survival-run" if survived else "cti-wait-run",
            state="Up",
            bridge_id="b1" if talking else None,
            queue=QueueName("support"),
            caller_number="+15550100002",
            did="5000",
            seconds=(at - self.began).total_seconds(),
        )
        leg = replace(caller, channel=LEG, unique_id=LEG_ID, agent_id=ADA, device=f.Device.SIP)
        return (caller, leg) if talking else (caller,)


def deliver(rig: FloorRig, moment: Moment) -> None:
    rig.now = max(rig.now, moment.at + NEAR)
    for signal in moment.signals:
        rig.signal(signal)


@pytest.mark.parametrize("first", [8, 80, 205])
def test_the_talk_of_the_record_is_as_long_as_it_was_wherever_the_link_went(first: int) -> None:
    for seed in range(first, first + 12):
        lost_and_found(seed)


def lost_and_found(seed: int) -> None:
    """One loss of the link in one call."""
    rng = random.Random(seed)
    rig = FloorRig()
    rig.ready("1002")
    rig.ready("1001")
    for agent in ("1001", "1002"):  # nobody is offered by us: the caller goes by Asterisk's own queue
        device = s.DeviceReachable(
            at=rig.now, agent_id=AgentId(agent), device=f.Device.SIP, reachable=False, in_use=False
        )
        rig.signal(device)
    story = Story(rig, rng)
    span = (story.gone - story.began).total_seconds()
    lost = story.began + timedelta(seconds=rng.uniform(0, span + 2))
    back = lost + timedelta(seconds=rng.choice([0.05, 1, 10]) * rng.random())
    asked = back + timedelta(seconds=rng.uniform(0.0, 0.1))
    came = asked + timedelta(seconds=rng.choice([0.02, 3.0]) * rng.random())
    read = came + timedelta(seconds=rng.choice([0.02, 3.0]) * rng.random())
    for moment in (m for m in story.moments if m.at < lost):
        deliver(rig, moment)
    rig.now = max(rig.now, read)
    known = known_calls(chain.from_iterable(rig.board.history.values()), closed=rig.board.closed)
    facts = infer_facts(read_ledger(story.ledger(read).encode()).events, known)
    reconcile.adopt_ledger(rig.board, facts, rig.now)
    snapshot = s.Snapshot(at=came, asked_at=asked, channels=story.channels(asked), devices=(), restarted=False)
    reconcile.adopt_snapshot(rig.board, snapshot, rig.now)
    rig.drain()
    for moment in (m for m in story.moments if m.at >= back):
        deliver(rig, moment)
    answers, ends = rig.of(f.CallAnswered), rig.of(f.TalkEnded)
    told = [(one.agent_id, type(one).__name__, one.at - story.began) for one in (*answers, *ends)]
    assert [one.agent_id for one in answers] == [one.agent_id for one in ends] == [ADA], told
    assert abs(answers[0].at - story.joined) <= NEAR, told
    assert abs(ends[0].at - story.parted) <= NEAR, told
    (ended,) = rig.of(f.CallEnded)
    assert abs(ended.at - story.gone) <= NEAR
