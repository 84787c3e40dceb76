"""Parts of supervisors in calls, and what they do by hand, on virtual time."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from cti.ids import AgentId, CallId, ChannelName, QueueName
from cti.ivr.effects import Sound
from cti.model import facts as f
from cti.model import signals as s
from cti.model.call import CallState
from cti.model.commands import EnterRoom, HangUp, SendOut, SendToFlow, SendToVoicemail
from cti.model.recording_facts import RecordingPaused, RecordingResumed
from cti.model.supervision_commands import DialWatcher, SpyOn
from cti.model.supervision_facts import RoomOpened, WatchChanged, WatchEnded, WatchMode
from cti.model.supervision_legs import call_of_watch_leg, party_name, watch_leg
from cti.model.supervision_signals import WatchLeg
from cti.services import agents, live_centre, supervision_agents, supervision_floor, supervision_watch
from cti.services.admission import is_open
from cti.services.announcer import WARN_AGAIN, Announcer
from cti.services.floor import Refused
from cti.services.rows import Rows
from cti.services.supervision import Changed
from cti.services.supervision_rows import by_hand, notices_of
from cti.services.switchboard import Switchboard
from cti.services.talk_view import SendTo
from tests.support.fake_floor import StandingClock
from tests.support.floor_rig import CENTRE_TEXT, FloorRig, centre

BOSS = ChannelName("PJSIP/boss-web-00000001")
ADA = AgentId("1001")


class Watched(FloorRig):
    """A caller and Ada talk; a supervisor has a telephone."""

    def __init__(self) -> None:
        super().__init__()
        self.board.linked = True
        self.ready("1001")
        self.call_id = self.talk()

    def talk(self) -> CallId:
        call_id = self.call()
        self.queue(call_id)
        self.ring(call_id, "1001")
        self.joined(self.channel(call_id), call_id)
        self.joined(self.leg("1001"), call_id, agent="1001")
        return call_id

    def joined(self, channel: ChannelName, call_id: CallId, *, bridge: str = "b1", agent: str | None = None) -> None:
        self.signal(
            s.BridgeJoined(
                at=self.now,
                bridge_id=bridge,
                channel=channel,
                call_id=call_id,
                agent_id=AgentId(agent) if agent else None,
            )
        )

    def attend(self) -> list[object]:
        supervision_watch.attend(self.board, self.now)
        return list(self.drain())

    def begin(self, mode: WatchMode = WatchMode.LISTEN) -> str:
        watch = supervision_watch.begin(self.board, self.call_id, self.now, by="boss", account="boss-web", mode=mode)
        (dialled,) = [one for one in self.drain() if isinstance(one, DialWatcher)]
        assert dialled.channel_id == watch.leg_id == watch_leg(self.call_id, 1)
        return watch.leg_id

    def there(self, leg_id: str) -> list[object]:
        self.signal(WatchLeg(at=self.now, call_id=self.call_id, leg_id=leg_id, channel=BOSS, event="there"))
        return self.attend()

    def gone(
        self, channel: ChannelName, *, unique_id: str = "", agent: str | None = None, caller: bool = False
    ) -> None:
        self.signal(
            s.ChannelGone(
                at=self.now,
                channel=channel,
                call_id=self.call_id,
                agent_id=AgentId(agent) if agent else None,
                is_caller=caller,
                cause=16,
                unique_id=unique_id,
            )
        )

    def kinds(self) -> list[str]:
        return [type(fact).__name__ for fact in self.facts]


def test_legs_have_names_that_tell_their_call() -> None:
    assert call_of_watch_leg(watch_leg(CallId("a1-17.3"), 12)) == "a1-17.3"
    assert call_of_watch_leg("a1-17.3-p1") is None


def test_listening_touches_nothing_of_the_call_and_whispering_only_the_way_of_hearing() -> None:
    rig = Watched()
    before = rig.board.calls[rig.call_id]
    (spy,) = rig.there(rig.begin())
    assert spy == SpyOn(
        call_id=rig.call_id, channel=BOSS, caller_channel=before.channel, target=rig.leg("1001"), whisper=False
    )
    assert rig.board.calls[rig.call_id] == before
    assert rig.attend() == []  # sent once
    supervision_watch.change(rig.board, rig.now, by="boss", mode=WatchMode.WHISPER)
    (spy,) = rig.drain()
    assert isinstance(spy, SpyOn)
    assert spy.whisper
    assert rig.board.calls[rig.call_id] == before


def test_barging_opens_the_room_and_taking_over_lets_the_agent_go_after_the_proof() -> None:
    rig = Watched()
    leg_id = rig.begin(WatchMode.TAKE_OVER)
    moves = rig.there(leg_id)
    caller = rig.channel(rig.call_id)
    assert moves == [
        EnterRoom(call_id=rig.call_id, channel=caller, agent_channel=rig.leg("1001")),
        EnterRoom(call_id=rig.call_id, channel=BOSS, party=True),
    ]
    assert any(isinstance(fact, RoomOpened) for fact in rig.facts)
    assert rig.board.calls[rig.call_id].room
    rig.joined(rig.leg("1001"), rig.call_id, bridge="room", agent="1001")
    rig.joined(BOSS, rig.call_id, bridge="room")
    assert not any(isinstance(one, HangUp) for one in rig.attend())  # the caller is not there yet
    rig.joined(caller, rig.call_id, bridge="room")
    assert rig.board.calls[rig.call_id].outsiders == (party_name("boss"),)
    assert rig.attend() == [HangUp(channel=rig.leg("1001"))]
    rig.gone(rig.leg("1001"), agent="1001")
    call = rig.board.calls[rig.call_id]
    assert (call.talkers, call.state.value) == ((), "talking")
    with pytest.raises(Refused, match="nobody else"):
        supervision_watch.change(rig.board, rig.now, by="boss", mode=WatchMode.LISTEN)
    rig.gone(BOSS, unique_id=leg_id)
    assert isinstance(rig.facts[-2], WatchEnded) or isinstance(rig.facts[-1], WatchEnded)
    assert rig.board.calls[rig.call_id].outsiders == ()


def test_the_part_follows_the_caller_and_ends_with_the_call() -> None:
    rig = Watched()
    leg_id = rig.begin()
    rig.there(leg_id)
    rig.gone(rig.channel(rig.call_id), caller=True)
    assert HangUp(channel=BOSS) in rig.attend()
    assert rig.board.supervision.watches == {}
    assert rig.facts[-1] == WatchEnded(
        at=rig.now,
        call_id=rig.call_id,
        by="boss",
        leg_id=leg_id,
        end=rig.facts[-1].end,  # type: ignore[attr-defined]
    )


def test_nobody_listens_while_the_recording_is_paused() -> None:
    rig = Watched()
    rig.there(rig.begin())
    rig.board.supervision.fact(RecordingPaused(at=rig.now, call_id=rig.call_id, by="1001"))
    (spy,) = rig.attend()
    assert isinstance(spy, SpyOn)
    assert spy.target is None
    rig.board.supervision.fact(RecordingResumed(at=rig.now, call_id=rig.call_id, by="1001"))
    (spy,) = rig.attend()
    assert isinstance(spy, SpyOn)
    assert spy.target == rig.leg("1001")


def test_a_restart_knows_who_listens_and_ends_what_nobody_wants() -> None:
    rig = Watched()
    leg_id = rig.begin()
    rig.there(leg_id)
    again = Switchboard(centre(), node=rig.board.node, now=rig.now)
    again.recover(rig.facts, rig.now)
    again.linked = True
    assert [watch.by for watch in again.supervision.watches.values()] == ["boss"]
    snapshot = s.Snapshot(
        at=rig.now + timedelta(seconds=5),
        channels=tuple(
            s.LiveChannel(
                channel=channel, unique_id=unique, call_id=rig.call_id, offer_id=None, agent_id=None, device=None,
                context="cti-watch-run", state="Up", bridge_id=None, queue=None, caller_number=None, did="", seconds=9.0,
            )
            for channel, unique in ((BOSS, leg_id), (ChannelName("PJSIP/boss-web-2"), watch_leg(rig.call_id, 7)))
        ),
        devices=(),
        restarted=False,
    )  # fmt: skip
    supervision_watch.adopt(again, snapshot, rig.now)
    again.legs[rig.leg("1001")] = (rig.call_id, ADA)
    supervision_watch.attend(again, rig.now)
    commands = again.out.commands
    assert HangUp(channel=ChannelName("PJSIP/boss-web-2")) in commands
    assert any(isinstance(one, SpyOn) and one.target == rig.leg("1001") for one in commands)
    # A leg that is gone is no part any more.
    supervision_watch.adopt(
        again, s.Snapshot(at=rig.now + timedelta(seconds=9), channels=(), devices=(), restarted=False), rig.now
    )
    assert again.supervision.watches == {}


def test_what_cannot_be_watched_is_refused() -> None:
    rig = Watched()
    rig.begin()
    with pytest.raises(Refused, match="part in a call already"):
        supervision_watch.begin(rig.board, rig.call_id, rig.now, by="boss", account="boss-web", mode=WatchMode.LISTEN)
    waiting = rig.call()
    rig.queue(waiting)
    for call_id in (waiting, CallId("nobody-1.1")):
        with pytest.raises(Refused):
            supervision_watch.begin(rig.board, call_id, rig.now, by="b", account="b-web", mode=WatchMode.LISTEN)
    # Nobody picks up: the part ends by itself.
    rig.now += timedelta(seconds=30)
    rig.attend()
    assert rig.board.supervision.watches == {}
    assert not any(isinstance(fact, WatchChanged) for fact in rig.facts)


def test_a_queue_is_closed_by_hand_until_a_time_and_a_restart_keeps_it() -> None:
    rig = FloorRig()
    queue = rig.board.centre.queues[QueueName("support")]
    until = rig.now + timedelta(minutes=5)
    done = supervision_floor.force_queue(rig.board, queue.name, False, rig.now, by="boss", until=until, reason="storm")
    assert (done.before, done.after["queue"]) == ({"queue": "calendar"}, "closed")
    rig.drain()
    assert not is_open(rig.board, queue, rig.now)
    again = Switchboard(centre(), node=rig.board.node, now=rig.now)
    again.recover(rig.facts, rig.now)
    assert by_hand(again, queue.name, rig.now)["forced"] == "closed"
    rig.pass_time(301)
    assert is_open(rig.board, queue, rig.now)
    assert rig.board.supervision.forced == {}
    with pytest.raises(Refused, match="over"):
        supervision_floor.force_queue(
            rig.board, queue.name, False, rig.now, by="boss", until=rig.now - timedelta(1), reason=""
        )


def test_a_message_stands_until_it_is_seen_and_an_announcement_of_a_queue_goes_before_the_centres() -> None:
    rig = FloorRig()
    rig.ready("1001")
    sent = supervision_floor.send_message(
        rig.board, (), QueueName("support"), "Tea", rig.now, by="boss", lasts=timedelta(hours=1)
    )
    assert sent.agents == (ADA,)  # the other is offline
    assert [one.text for one in notices_of(rig.board, ADA)] == ["Tea"]
    for _ in range(2):
        supervision_floor.message_seen(rig.board, ADA, sent.message_id, rig.now)
    assert notices_of(rig.board, ADA) == ()
    for queue, prompt in ((None, "all"), (QueueName("support"), "mine")):
        supervision_floor.set_emergency(rig.board, queue, prompt, rig.now, by="boss", until=None, text="", reason="")
    state = rig.board.supervision
    found = [state.emergency(QueueName(name), rig.now) for name in ("support", "sales")]
    assert [one.prompt for one in found if one is not None] == ["mine", "all"]
    assert [type(fact).__name__ for fact in rig.board.out.facts].count("MessageSeen") == 1


def test_a_supervisor_ends_a_call_and_sends_one_on() -> None:
    rig = Watched()
    supervision_floor.end_call(rig.board, rig.call_id, rig.now)
    assert rig.drain() == [HangUp(channel=rig.channel(rig.call_id))]
    assert rig.board.left_first[rig.call_id] is f.HangupBy.SYSTEM
    with pytest.raises(Refused):
        supervision_floor.end_call(rig.board, CallId("nobody-1.1"), rig.now)


def test_an_announcement_is_heard_once_and_again_by_who_waits_long_in_a_language_there_is() -> None:
    rig = FloorRig()
    clock = StandingClock(rig.now)
    announcer = Announcer(rig.board, {}, clock)
    call_id = rig.call()
    rig.queue(call_id)
    assert announcer.due(call_id) == ()
    supervision_floor.set_emergency(
        rig.board, None, "emergency_1", clock.now(), by="boss", until=None, text="Fire", reason="", languages=("zh",)
    )
    told = (Sound(language="zh", name="emergency_1"),)
    assert announcer.due(call_id) == told  # not there in English: better in Chinese than not at all
    assert announcer.due(call_id) == ()
    clock.move(WARN_AGAIN)
    assert announcer.due(call_id) == told
    supervision_floor.set_emergency(rig.board, None, "", clock.now(), by="boss", until=None, text="", reason="")
    assert announcer.due(call_id) == ()
    assert announcer.warning(rig.call(), None) == ()


# ---- other queues and skills for a while


class Lent(FloorRig):
    """Agents who are given other queues or skills for a while."""

    def __init__(self) -> None:
        super().__init__(CENTRE_TEXT.replace("Ada, queues: [support, sales]", "Ada, queues: [support]"))
        self.rows = Rows(self.board)

    def give(self, *queues: str, minutes: float | None = None, shift: bool = False, **skills: int) -> Changed:
        done = supervision_agents.reassign(
            self.board,
            ADA,
            self.now,
            by="lena",
            queues=[QueueName(queue) for queue in queues] or None,
            skills=skills or None,
            until=self.now + timedelta(minutes=minutes) if minutes is not None else None,
            shift=shift,
            reason="rush",
        )
        self.drain()
        return done

    def goes_offline(self) -> None:
        agents.set_agent(self.board, ADA, f.AgentState.OFFLINE, self.now, reason="", device=None)
        live_centre.settle(self.board, self.now)
        self.drain()

    def served(self) -> tuple[str, ...]:
        """The queues by the agent's row, which are those of the centre's and the engine's."""
        self.rows.change(self.now)
        row = self.rows.view(self.now).agents[ADA]
        assert row.queues == self.board.centre.agents[ADA].queues
        return row.queues

    def again(self) -> Lent:
        """The same floor after a restart of the bridge."""
        after = Lent()
        after.now = self.now
        after.board.recover(self.facts, after.now)
        return after


def test_an_agent_serves_other_queues_until_then_and_the_engine_knows() -> None:
    rig = Lent()
    usual = rig.served()
    rig.ready("1001")
    call = rig.call()
    rig.queue(call, "sales")
    assert rig.delivered() == []  # Ada serves support alone
    done = rig.give("sales", minutes=30)
    assert (done.before["queues"], done.after["queues"]) == ("support", "sales")
    assert done.after["until"] == (rig.now + timedelta(minutes=30)).isoformat()
    assert rig.delivered() == [(call, ADA)]
    assert rig.served() == ("sales",)
    row = rig.rows.view(rig.now).agents[ADA].reassigned
    assert row is not None
    assert (row.usual_queues, row.by, row.shift, row.skills) == (usual, "lena", False, None)
    assert rig.board.configured.agents[ADA].queues == usual  # the file is as it was
    rig.pass_time(1801)
    assert rig.served() == usual
    assert rig.rows.view(rig.now).agents[ADA].reassigned is None


@pytest.mark.parametrize("away", [timedelta(minutes=10), timedelta(minutes=31)])
def test_it_survives_a_restart_and_ends_in_time_after_one(away: timedelta) -> None:
    rig = Lent()
    usual = rig.served()
    rig.ready("1001")
    rig.give("sales", minutes=30, en=5)
    rig.now += away
    after = rig.again()
    if away > timedelta(minutes=30):
        assert after.served() == usual
        assert after.board.supervision.reassigned == {}
        return
    assert after.served() == ("sales",)
    assert after.board.centre.agents[ADA].skills == {"en": 5}
    assert supervision_floor.next_due(after.board) == rig.now - away + timedelta(minutes=30)
    after.pass_time(1201)
    assert after.served() == usual


def test_the_shift_s_end_a_word_of_the_supervisor_s_and_nothing_else_end_it() -> None:
    rig = Lent()
    usual = rig.served()
    rig.ready("1001")
    rig.give("sales", shift=True)
    agents.set_agent(rig.board, ADA, f.AgentState.NOT_READY, rig.now, reason="break", device=None)
    live_centre.settle(rig.board, rig.now)
    rig.pass_time(9000)
    assert rig.served() == ("sales",)
    # A new version of the file does not end it either.
    live_centre.configure(rig.board, rig.board.configured, rig.now, version="v2", by="sue")
    assert rig.served() == ("sales",)
    rig.goes_offline()
    assert rig.served() == usual
    assert rig.again().served() == usual
    rig.give("sales", en=3)
    assert rig.board.centre.agents[ADA].skills == {"en": 3}
    assert supervision_floor.next_due(rig.board) is None
    done = rig.give()
    assert (done.before["until"], done.after["queues"]) == ("taken back", "support")
    assert rig.served() == usual
    told = len(rig.facts)
    rig.give()  # nothing to take back
    assert len(rig.facts) == told


def test_nobody_is_given_a_queue_that_is_not_there_or_a_time_that_is_over() -> None:
    rig = Lent()
    with pytest.raises(Refused, match="no queue"):
        rig.give("nowhere")
    with pytest.raises(Refused, match="over"):
        rig.give("sales", minutes=-1)
    rig.give("sales", "support")
    # A queue that leaves the centre is served until its last caller has gone, and not given any more.
    without = replace(
        rig.board.configured,
        queues={name: queue for name, queue in rig.board.configured.queues.items() if name != "sales"},
        agents={
            one: replace(agent, queues=tuple(q for q in agent.queues if q != "sales"))
            for one, agent in rig.board.configured.agents.items()
        },
    )
    live_centre.configure(rig.board, without, rig.now, version="v2", by="sue")
    assert rig.served() == ("support",)


# ---- a waiting caller is sent elsewhere


class Queue(FloorRig):
    """A caller waits; the trunk is there, and one flow is open to transfers."""

    def __init__(self) -> None:
        text = 'transfer_flows: {tariff: Tariffs}\noutbound: {allow: ["+1555"], most_at_once: 1}\n'
        super().__init__(CENTRE_TEXT.replace("queues:\n", text + "queues:\n", 1))
        self.board.can_dial_out = True
        self.call_id = self.call()
        self.queue(self.call_id)

    def send(self, kind: f.DestinationKind, name: str) -> list[object]:
        to = SendTo(kind=kind, name=name)
        supervision_floor.send_call(self.board, self.call_id, to, self.now, by="lena", note="")
        return list(self.drain())

    def way_out(self) -> tuple[str, str]:
        (fact,) = [fact for fact in self.facts if isinstance(fact, f.CallDequeued)]
        return fact.reason, fact.to


@pytest.mark.parametrize("ringing", [False, True])
@pytest.mark.parametrize(
    ("kind", "name", "command", "to", "state"),
    [
        (f.DestinationKind.NUMBER, "+15550109999", SendOut, "number:+15550109999", CallState.OUT),
        (f.DestinationKind.FLOW, "tariff", SendToFlow, "flow:tariff", CallState.MENU),
        (f.DestinationKind.VOICEMAIL, "voicemail", SendToVoicemail, "voicemail", CallState.MENU),
    ],
)
def test_a_waiting_caller_goes_to_a_number_a_flow_or_voicemail(
    kind: f.DestinationKind, name: str, command: type, to: str, state: CallState, ringing: bool
) -> None:
    rig = Queue()
    if ringing:
        rig.ready("1001")
        rig.ring(rig.call_id, "1001")
    (sent,) = rig.send(kind, name)
    assert isinstance(sent, command)
    assert rig.way_out() == ("supervisor", to)
    assert rig.live(rig.call_id).state is state
    assert rig.board.engine.ticket(rig.call_id) is None
    # A caller whom a jump of the dialplan brought back to the wait is sent once more.
    if state is CallState.MENU:
        (again,) = rig.waits(rig.call_id)
        assert isinstance(again, command)
    with pytest.raises(Refused):
        rig.send(f.DestinationKind.VOICEMAIL, "voicemail")


def test_only_numbers_and_flows_that_may_be_and_a_line_that_is_free() -> None:
    rig = Queue()
    for kind, name, error in (
        (f.DestinationKind.NUMBER, "+4420", "number_not_allowed"),
        (f.DestinationKind.NUMBER, "+44201234567", "number_not_allowed"),
        (f.DestinationKind.FLOW, "main", "unknown_flow"),
    ):
        with pytest.raises(Refused) as refused:
            rig.send(kind, name)
        assert refused.value.error_id == error
    first = rig.call_id
    rig.send(f.DestinationKind.NUMBER, "+15550109999")
    rig.call_id = rig.call()
    rig.queue(rig.call_id)
    with pytest.raises(Refused) as refused:
        rig.send(f.DestinationKind.NUMBER, "+15550109998")
    assert refused.value.error_id == "lines_taken"
    assert rig.live(rig.call_id).state is CallState.WAITING
    assert rig.live(first).state is CallState.OUT


def test_who_talks_is_sent_to_voicemail_and_the_agent_has_work_after_it() -> None:
    rig = Watched()
    to = SendTo(kind=f.DestinationKind.VOICEMAIL, name="voicemail")
    supervision_floor.send_call(rig.board, rig.call_id, to, rig.now, by="lena", note="")
    assert [type(one) for one in rig.drain()] == [SendToVoicemail]
    assert rig.live(rig.call_id).state is CallState.MENU
    assert rig.board.agents[ADA].state is f.AgentState.WRAP_UP


# ---- a part that is taken again


AGAIN = ChannelName("PJSIP/boss-web-00000002")


def taken_again(rig: Watched, mode: WatchMode) -> str:
    """The page was loaded anew: its telephone is called once more, for the same part."""
    watch = supervision_watch.begin(
        rig.board, rig.call_id, rig.now, by="boss", account="boss-web", mode=mode, again=True
    )
    (dialled,) = [one for one in rig.attend() if isinstance(one, DialWatcher)]
    assert dialled.channel_id == watch.leg_id == watch_leg(rig.call_id, 2)
    assert len(rig.board.supervision.parts()) == 1
    rig.signal(WatchLeg(at=rig.now, call_id=rig.call_id, leg_id=watch.leg_id, channel=AGAIN, event="there"))
    return watch.leg_id


def test_a_listener_s_new_leg_takes_the_place_of_the_lost_one() -> None:
    rig = Watched()
    leg_id = rig.begin()
    with pytest.raises(Refused):  # it rings still: there is nothing to take again
        taken_again(rig, WatchMode.LISTEN)
    rig.there(leg_id)
    new = taken_again(rig, WatchMode.LISTEN)
    moves = rig.attend()
    assert HangUp(channel=BOSS) in moves
    assert [one.channel for one in moves if isinstance(one, SpyOn)] == [AGAIN]
    assert list(rig.board.supervision.watches) == [new]
    assert rig.attend() == []
    with pytest.raises(Refused):
        supervision_watch.begin(rig.board, rig.call_id, rig.now, by="boss", account="boss-web", mode=WatchMode.LISTEN)


def test_who_took_over_never_leaves_the_caller_alone_while_the_new_leg_comes() -> None:
    rig = Watched()
    rig.there(rig.begin(WatchMode.TAKE_OVER))
    caller = rig.channel(rig.call_id)
    for channel in (caller, BOSS):
        rig.joined(channel, rig.call_id, bridge="room")
    rig.attend()
    rig.gone(rig.leg("1001"), agent="1001")
    assert rig.board.calls[rig.call_id].outsiders == (party_name("boss"),)
    before = rig.kinds()
    new = taken_again(rig, WatchMode.TAKE_OVER)
    moves = rig.attend()
    assert next(one for one in moves if isinstance(one, EnterRoom)).channel == AGAIN
    assert HangUp(channel=BOSS) not in moves  # not before caller and new leg are proved to be in one bridge
    rig.joined(AGAIN, rig.call_id, bridge="room")
    assert HangUp(channel=BOSS) in rig.attend()
    rig.gone(BOSS, unique_id=watch_leg(rig.call_id, 1))
    assert rig.board.calls[rig.call_id].outsiders == (party_name("boss"),)
    assert rig.board.calls[rig.call_id].state in (CallState.TALKING, CallState.HELD)
    told = rig.kinds()[len(before) :]
    assert told == ["WatchBegan", "WatchAnswered", "WatchEnded"]
    assert list(rig.board.supervision.watches) == [new]
    rig.gone(AGAIN, unique_id=new)
    assert rig.board.calls[rig.call_id].outsiders == ()
