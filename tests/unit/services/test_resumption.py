"""A page that goes while its agent talks: the caller is held for it, brought back, or given back to the queue."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cti.ids import AgentId, CallId, ChannelName, NodeName
from cti.model import facts as f
from cti.model import signals as s
from cti.model.call import CallState
from cti.model.commands import Command, ReturnToWait
from cti.model.dial_commands import Resume
from cti.model.dial_signals import PhoneSigned
from cti.model.facts import AgentState, Device, HangupBy
from cti.services import heartbeats, reconcile, resumption
from cti.services.agent_line import Microphone, Pulse
from cti.services.switchboard import Switchboard
from tests.support.floor_rig import FloorRig, centre

ADA = AgentId("1001")


class Bench(FloorRig):
    """Ada takes calls in her browser; her page and its telephone come and go."""

    def __init__(self) -> None:
        super().__init__()
        self.page(open_=True)
        self.signed(there=True)
        self.ready("1001", device=Device.BROWSER)
        self.call_id = self.call(tier="vip")
        self.queue(self.call_id)
        self.ring(self.call_id, "1001")
        self.pass_time(3)
        self.answer(self.call_id, "1001")
        self.pass_time(5)

    def leg(self, agent: str) -> ChannelName:
        return ChannelName(f"PJSIP/{agent}-web-{self.serial:08x}")

    def page(self, *, open_: bool) -> list[Command]:
        heartbeats.page(self.board, ADA, self.now, connected=open_)
        resumption.page_changed(self.board, ADA, self.now)
        return self.drain()

    def beat(self, **told: object) -> list[Command]:
        heartbeats.pulse(self.board, ADA, Pulse(**told), self.now)  # type: ignore[arg-type]
        resumption.page_changed(self.board, ADA, self.now)
        return self.drain()

    def signed(self, *, there: bool) -> list[Command]:
        return self.signal(PhoneSigned(at=self.now, agent_id=ADA, device=Device.BROWSER, there=there))

    def device(self, *, reachable: bool, in_use: bool = False) -> list[Command]:
        return self.signal(
            s.DeviceReachable(at=self.now, agent_id=ADA, device=Device.BROWSER, reachable=reachable, in_use=in_use)
        )

    def leg_gone(self, cause: int) -> list[Command]:
        return self.signal(
            s.ChannelGone(
                at=self.now, channel=self.leg("1001"), call_id=self.call_id, agent_id=ADA, is_caller=False, cause=cause
            )
        )

    def goes(self) -> list[Command]:
        """Page and telephone, as when a tab is closed."""
        commands = self.signed(there=False) + self.page(open_=False)
        self.part(self.call_id, self.channel(self.call_id), None)
        self.part(self.call_id, self.leg("1001"), "1001")
        self.leg_gone(16)
        self.device(reachable=False)
        return commands + self.waits(self.call_id)

    def comes(self) -> list[Command]:
        commands = self.page(open_=True) + self.signed(there=True)
        return commands + self.device(reachable=True)

    @property
    def now_live(self) -> CallState:
        return self.live(self.call_id).state


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_the_caller_is_held_at_once_and_brought_back(bench: Bench) -> None:
    bench.pass_time(1)
    commands = bench.goes()
    assert [type(c) for c in commands] == [ReturnToWait]
    call = bench.live(bench.call_id)
    assert (call.state, call.held_reason, call.held_until) == (
        CallState.HELD, "page_gone", bench.now + timedelta(seconds=20),
    )  # fmt: skip
    assert bench.board.agents[ADA].state is AgentState.HELD
    bench.pass_time(4)
    commands = bench.comes()
    assert [c for c in commands if isinstance(c, Resume)] == [
        Resume(call_id=bench.call_id, channel=call.channel, agent_id=ADA)
    ]
    bench.serial += 1
    bench.signal(
        s.BridgeJoined(at=bench.now, bridge_id="b2", channel=bench.leg("1001"), call_id=bench.call_id, agent_id=ADA)
    )
    bench.signal(
        s.BridgeJoined(at=bench.now, bridge_id="b2", channel=call.channel, call_id=bench.call_id, agent_id=None)
    )
    assert bench.now_live is CallState.TALKING
    assert (len(bench.of(f.CallAnswered)), len(bench.of(f.CallHeld)), len(bench.of(f.CallRetrieved))) == (1, 1, 1)
    assert bench.of(f.TalkEnded) == []


@pytest.mark.parametrize("first", ["page", "phone"])
def test_one_of_the_two_alone_proves_nothing(bench: Bench, first: str) -> None:
    if first == "page":
        bench.page(open_=False)
    else:
        bench.signed(there=False)
    bench.pass_time(60)
    assert bench.now_live is CallState.TALKING


def test_a_page_that_is_back_before_its_end_was_heard_of(bench: Bench) -> None:
    bench.pass_time(1)
    bench.page(open_=False)
    bench.page(open_=True)
    commands = bench.signed(there=False)
    assert [type(c) for c in commands] == [ReturnToWait]
    assert bench.now_live is CallState.HELD


def test_no_sound_is_no_hang_up(bench: Bench) -> None:
    """Asterisk ends a silent leg by itself: its far end never asked to, and the dialplan brings the caller to wait."""
    bench.part(bench.call_id, bench.leg("1001"), "1001")
    assert bench.now_live is CallState.HELD
    bench.part(bench.call_id, bench.channel(bench.call_id), None)
    bench.leg_gone(44)
    assert bench.waits(bench.call_id) == []
    bench.pass_time(5)
    bench.device(reachable=True)
    assert [c for c in bench.commands if isinstance(c, Resume)] == [], "the telephone looks well, the page is not back"
    assert [type(c) for c in bench.beat()] == [Resume]


def test_a_page_without_its_telephone_waits_for_it(bench: Bench) -> None:
    bench.pass_time(1)
    bench.goes()
    bench.pass_time(1)
    bench.page(open_=True)
    bench.device(reachable=True)
    bench.commands.clear()
    assert [c for c in bench.beat(registered=False) if isinstance(c, Resume)] == []


def test_hanging_up_is_hanging_up(bench: Bench) -> None:
    bench.signal(s.HangupAsked(at=bench.now, channel=bench.leg("1001"), call_id=bench.call_id, agent_id=ADA))
    bench.part(bench.call_id, bench.leg("1001"), "1001")
    assert bench.now_live is CallState.AFTER
    assert bench.board.agents[ADA].state is AgentState.WRAP_UP
    bench.hang_up_caller(bench.call_id)
    assert bench.of(f.CallEnded)[0].hangup_by is HangupBy.AGENT  # type: ignore[attr-defined]


def test_nobody_comes_back_so_the_caller_is_first_in_the_queue(bench: Bench) -> None:
    before = bench.live(bench.call_id)
    others = [bench.call() for _ in range(2)]
    for other in others:
        bench.queue(other)
    bench.pass_time(1)
    bench.goes()
    bench.pass_time(21)
    call = bench.live(bench.call_id)
    assert (call.state, call.queue, call.held_reason) == (CallState.WAITING, before.queue, "")
    assert next(t.call_id for t in bench.board.engine.waiting(call.queue)) == bench.call_id  # type: ignore[arg-type]
    ada = bench.board.agents[ADA]
    assert (ada.chosen, ada.reason) == (AgentState.NOT_READY, "page_gone")
    bench.ready("1002")
    assert bench.delivered()[-1] == (bench.call_id, "1002")


def test_the_caller_hangs_up_meanwhile(bench: Bench) -> None:
    bench.pass_time(1)
    bench.goes()
    bench.hang_up_caller(bench.call_id)
    assert bench.call_id in bench.board.closed
    assert bench.of(f.CallEnded)[0].hangup_by is HangupBy.CALLER  # type: ignore[attr-defined]
    bench.pass_time(60)
    bench.comes()
    assert [c for c in bench.commands if isinstance(c, Resume)] == []


def test_a_try_that_fails_is_made_again_and_the_time_still_ends(bench: Bench) -> None:
    bench.pass_time(1)
    bench.goes()
    bench.pass_time(2)
    bench.comes()
    bench.waits(bench.call_id)  # not taken
    assert len([c for c in bench.commands if isinstance(c, Resume)]) == 2
    bench.pass_time(40)
    assert bench.now_live is CallState.WAITING
    assert isinstance(bench.commands[-1], ReturnToWait), (
        "nobody knows where the caller is: brought to where they can be found"
    )


def test_who_is_held_is_known_after_a_restart(bench: Bench) -> None:
    bench.pass_time(1)
    bench.goes()
    again = Switchboard(centre(), node=NodeName("t1"), now=bench.now)
    again.recover(bench.facts, bench.now)
    channel = s.LiveChannel(
        channel=bench.channel(bench.call_id), unique_id=bench.call_id, call_id=bench.call_id, offer_id=None, agent_id=None,
        device=None, context="cti-wait-run", state="Up", bridge_id=None, queue=None, caller_number=None, did="5000",
        seconds=30.0,
    )  # fmt: skip
    reconcile.adopt_snapshot(
        again, s.Snapshot(at=bench.now, channels=(channel,), devices=(), restarted=False), bench.now
    )
    assert again.calls[bench.call_id].state is CallState.HELD
    bench.board = again
    bench.pass_time(1)
    assert [type(c) for c in bench.comes()] == [Resume]
    bench.pass_time(60)
    assert bench.now_live is CallState.WAITING


def test_a_sip_telephone_is_not_held_for(bench: Bench) -> None:
    bench.ready("1002")
    other = bench.call()
    bench.queue(other)
    leg = ChannelName("PJSIP/1002-000000ff")
    bench.signal(
        s.AgentLegDialled(
            at=bench.now, call_id=other, offer_id=bench.live(other).offer_id, channel=bench.channel(other),
            agent_channel=leg, agent_id=AgentId("1002"),
        )
    )  # fmt: skip
    for channel, agent in ((leg, AgentId("1002")), (bench.channel(other), None)):
        bench.signal(s.BridgeJoined(at=bench.now, bridge_id="b7", channel=channel, call_id=other, agent_id=agent))
    assert bench.live(other).state is CallState.TALKING
    bench.part(other, leg, "1002", bridge="b7")
    assert bench.live(other).state is CallState.AFTER


def test_what_fails_is_named_and_nothing_is_offered_until_it_works(bench: Bench) -> None:
    bench.hang_up_caller(bench.call_id)
    bench.pass_time(12)
    waiting: list[CallId] = []
    bench.beat(microphone=Microphone.DENIED)
    for _ in range(5):
        bench.pass_time(5)
        bench.beat(microphone=Microphone.DENIED)
    assert bench.board.presence.problems[ADA] == ("microphone",)
    waiting.append(bench.call())
    bench.queue(waiting[0])
    assert bench.live(waiting[0]).state is CallState.WAITING
    bench.beat()
    bench.pass_time(2)
    assert bench.live(waiting[0]).state is CallState.OFFERED
    assert [fact.problems for fact in bench.of(f.AgentTroubled)] == [("microphone",), ()]  # type: ignore[attr-defined]


def test_a_page_that_falls_silent_and_a_hidden_one_that_is_slow(bench: Bench) -> None:
    bench.hang_up_caller(bench.call_id)
    bench.pass_time(12)
    bench.beat(visible=False)
    bench.pass_time(80)
    assert ADA not in bench.board.presence.problems
    bench.beat()
    bench.pass_time(40)
    assert bench.board.presence.problems[ADA] == ("page",)
    bench.beat()
    bench.page(open_=False)
    bench.pass_time(20)
    assert bench.board.presence.problems[ADA] == ("page",)
    bench.page(open_=True)
    bench.pass_time(2)
    assert ADA not in bench.board.presence.problems


def test_how_it_sounds_is_sampled(bench: Bench) -> None:
    from cti.services import quality
    from cti.services.agent_line import Sound

    def told(mos: float, *, final: bool = False) -> bool:
        kept = quality.sounded(bench.board, ADA, bench.call_id, Sound(mos=mos, final=final), bench.now)
        bench.drain()
        bench.pass_time(10)
        return kept

    assert [told(mos) for mos in (4.3, 4.3, 4.25, 3.1, 3.0, 4.3)] == [True, False, False, True, False, False]
    bench.pass_time(30)
    assert told(4.3)
    bench.hang_up_caller(bench.call_id)
    assert told(4.1, final=True), "after the end"
    assert not quality.sounded(bench.board, ADA, CallId("t1-1.1"), Sound(), bench.now), "another's"
