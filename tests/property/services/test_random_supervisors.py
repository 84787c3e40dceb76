"""Random days on which supervisors listen, whisper, talk along, take over, come again and leave while calls move: their legs
end with the calls, hold no call open, are no agents, and nobody has two parts."""

from __future__ import annotations

import random

import pytest

from cti.ids import CallId, ChannelName, NodeName
from cti.model import signals as s
from cti.model.call import Call
from cti.model.commands import EnterRoom, HangUp
from cti.model.facts import AgentState
from cti.model.supervision_commands import DialWatcher, SpyOn
from cti.model.supervision_facts import IN_TALK, WatchMode
from cti.model.supervision_legs import is_supervisor, party_name
from cti.model.supervision_signals import WatchLeg
from cti.services import consults, supervision_watch
from cti.services.switchboard import Switchboard
from cti.services.talk_view import CALLER
from tests.property.services.test_floor import AGENTS, TEXT
from tests.property.services.test_random_talks import OUTSIDE, TALK, MovingFloor
from tests.support.examples import NIGHTLY
from tests.support.floor_rig import centre

SUPERVISORS = ("lena", "max")


class WatchedFloor(MovingFloor):
    """The floor of moving calls, with supervisors. Their telephones ring until somebody answers, or nobody does."""

    def __init__(self) -> None:
        super().__init__()
        self.ringing: dict[str, CallId] = {}
        """Legs that were dialled and have not been answered."""
        self.there: dict[ChannelName, tuple[CallId, str]] = {}
        """Supervisors' channels, as Asterisk has them: the call and the leg."""
        self.read = 0
        self.reached: set[str] = set()
        """What has happened at all: a day that reaches little proves little."""

    # -- Asterisk

    def settle(self) -> None:
        super().settle()
        self.read_commands()
        while True:
            supervision_watch.attend(self.rig.board, self.rig.now)
            super().settle()
            if not self.read_commands():
                break
        # The dialplan's room: who is alone in it waits again.
        for call in list(self.rig.board.calls.values()):
            if call.state in TALK and call.room and not (call.talkers or call.outsiders or call.held_until):
                for members in self.rig.board.bridges.values():
                    members.pop(call.channel, None)
                self.rig.waits(call.call_id)
                self.settle()
                return

    def read_commands(self) -> bool:
        """What concerns supervisors' legs, of the commands since. Whether there were any commands."""
        new, self.read = self.rig.commands[self.read :], len(self.rig.commands)
        for command in new:
            if isinstance(command, DialWatcher):
                self.ringing[command.channel_id] = command.call_id
            elif isinstance(command, SpyOn):
                assert command.channel in self.there, "a leg is sent to listen that is not there"
                self.reached.add("whispers" if command.whisper else "listens")
            elif isinstance(command, HangUp):
                self.ringing.pop(command.channel, None)
            elif isinstance(command, EnterRoom) and command.agent_channel is not None:
                call = self.rig.board.calls.get(command.call_id)
                if call is not None and call.state in TALK:
                    self.joined(call, command.agent_channel)
        return bool(new)

    def gone(self, channel: ChannelName) -> None:
        known = self.there.pop(channel, None)
        if known is None:
            super().gone(channel)
            return
        call_id, leg_id = known
        self.rig.signal(
            s.ChannelGone(
                at=self.rig.now, channel=channel, call_id=call_id, agent_id=None, is_caller=False, cause=16, unique_id=leg_id
            )
        )  # fmt: skip

    # -- people

    def begins(self, index: int, by: str, mode: WatchMode, *, again: bool = False) -> None:
        found = self.talking(index)
        watch = self.rig.board.supervision.of(by)
        call_id = watch.call_id if again and watch is not None else found[0].call_id if found is not None else None
        if call_id is not None:
            more = {"by": by, "account": f"{by}-web", "mode": mode, "again": again}
            if self.try_(supervision_watch.begin, self.rig.board, call_id, self.rig.now, **more) and again:
                self.reached.add("again")

    def telephone(self, index: int, *, answers: bool) -> None:
        if not self.ringing:
            return
        leg_id = sorted(self.ringing)[index % len(self.ringing)]
        call_id = self.ringing.pop(leg_id)
        self.rig.serial += 1
        channel = ChannelName(f"PJSIP/boss-{self.rig.serial:08x}") if answers else ChannelName("")
        if answers:
            self.there[channel] = (call_id, leg_id)
        self.rig.signal(
            WatchLeg(
                at=self.rig.now, call_id=call_id, leg_id=leg_id, channel=channel,
                event="there" if answers else "failed", status="" if answers else "NOANSWER",
            )
        )  # fmt: skip
        self.settle()

    def changes(self, by: str, mode: WatchMode) -> None:
        self.try_(supervision_watch.change, self.rig.board, self.rig.now, by=by, mode=mode)

    def stops(self, by: str) -> None:
        self.try_(supervision_watch.stop, self.rig.board, self.rig.now, by=by)

    def hangs_up(self, index: int) -> None:
        if self.there:
            self.gone(sorted(self.there)[index % len(self.there)])
            self.settle()

    def the_bridge_is_started_again(self) -> None:
        """From the journal alone: the same parts; and legs that are there are known again, or ended."""
        board, now = self.rig.board, self.rig.now
        after = Switchboard(centre(TEXT), node=NodeName("t1"), now=now)
        after.recover(self.rig.facts, now)

        def parts(one: Switchboard) -> dict[str, tuple[str, CallId, WatchMode, bool]]:
            return {leg: (w.by, w.call_id, w.mode, w.answered) for leg, w in one.supervision.watches.items()}

        assert parts(after) == parts(board)
        stray = (ChannelName("PJSIP/boss-stray"), "t1-1.1-s1")
        channels = tuple(
            s.LiveChannel(
                channel=channel, unique_id=leg_id, call_id=None, offer_id=None, agent_id=None, device=None,
                context="cti-watch-run", state="Up", bridge_id=None, queue=None, caller_number=None, did="", seconds=1.0,
            )
            for channel, leg_id in (*((c, leg) for c, (_, leg) in self.there.items()), stray)
        )  # fmt: skip
        snapshot = s.Snapshot(at=now, channels=channels, devices=(), restarted=False)
        supervision_watch.adopt(after, snapshot, now)
        assert stray[0] in after.supervision.stray
        assert {w.channel for w in after.supervision.watches.values() if w.channel is not None} <= {*self.there}
        self.reached.add("restart")

    # -- what always holds

    def supervisors_are_where_they_may_be(self) -> None:
        board = self.rig.board
        for channel, (call_id, leg_id) in self.there.items():
            assert call_id in board.calls, "a supervisor's leg outlives its call"
            assert leg_id in board.supervision.watches, "a leg that nobody wants"
            assert channel not in board.legs, "a supervisor's leg counts as an agent's"
        for by in SUPERVISORS:
            own = [watch for watch in board.supervision.watches.values() if watch.by == by]
            current = [watch for watch in board.supervision.parts() if watch.by == by]
            assert len(current) <= 1
            assert len(own) <= 1 or (len(own) == 2 and own[1].replaces == own[0].leg_id)
        for watch in board.supervision.watches.values():
            assert watch.call_id in board.calls
        for call in board.calls.values():
            self.holds_nothing_open(call)

    def holds_nothing_open(self, call: Call) -> None:
        board = self.rig.board
        assert not any(map(is_supervisor, call.talkers))
        if call.state in TALK and not call.talkers and call.held_until is None and call.dialled_by is None:
            # Only who talks along, or has taken over, is reason enough for a call without an agent to go on.
            assert call.outsiders
        for party in filter(is_supervisor, call.outsiders):
            assert any(
                party == party_name(watch.by) and watch.call_id == call.call_id
                for watch in board.supervision.watches.values()
            ), "a supervisor is in the talk who has no part in it"
            self.reached.add("talks")
            if not call.talkers:
                self.reached.add("alone with the caller")


@pytest.mark.timeout(3600 if NIGHTLY else 60)
@pytest.mark.parametrize("seed", range(1, 101 if NIGHTLY else 3))
def test_a_long_day_with_supervisors(seed: int) -> None:
    rng = random.Random(seed)
    floor = WatchedFloor()
    floor.the_floor_opens()
    modes = [*WatchMode, *IN_TALK]
    acts = [
        (lambda: floor.caller_queues("", rng.choice(["support", "sales"]), True), 10),
        (lambda: floor.is_answered(rng.randrange(31)), 25),
        (lambda: floor.agent_chooses(rng.choice(AGENTS), AgentState.READY), 6),
        (lambda: floor.sends_on(rng.randrange(31), rng.choice(["agent", "queue", "number"]), rng.choice(AGENTS)), 4),
        (lambda: floor.nobody_answers_outside(rng.randrange(31)), 4),
        (lambda: floor.holds(rng.randrange(31), rng.random() < 0.5), 5),
        (lambda: floor.asks(rng.randrange(31), rng.choice([*AGENTS, OUTSIDE])), 6),
        (lambda: floor.who_is_asked(rng.randrange(31), rng.choice(["rings", "answers", "BUSY"])), 8),
        (lambda: floor.goes_on(rng.randrange(31), rng.choice([consults.complete, consults.cancel, consults.join])), 8),
        (lambda: floor.drops(rng.randrange(31), rng.choice([*AGENTS, OUTSIDE, CALLER])), 2),
        (lambda: (floor.rig.board.legs or floor.rig.board.parties.legs) and floor.a_leg_of_a_talk_ends(rng.randrange(31)), 4),
        (lambda: floor.the_dialplan_finds_nobody(rng.randrange(31)), 1),
        (lambda: floor.hangs_up_by_the_page(rng.randrange(31)), 2),
        (lambda: floor.a_page_goes(rng.choice(AGENTS), rng.random() < 0.5), 2),
        (lambda: floor.a_page_comes(rng.choice(AGENTS)), 6),
        (lambda: floor.caller_hangs_up(rng.randrange(31)), 3),
        (lambda: floor.wrap_up_is_finished(rng.choice(AGENTS)), 12),
        (lambda: floor.time_passes(rng.choice([0.5, 3.0, 11.0, 40.0])), 6),
        (lambda: floor.begins(rng.randrange(31), rng.choice(SUPERVISORS), rng.choice(modes)), 14),
        (lambda: floor.begins(0, rng.choice(SUPERVISORS), rng.choice(modes), again=True), 5),
        (lambda: floor.telephone(rng.randrange(31), answers=rng.random() < 0.85), 20),
        (lambda: floor.changes(rng.choice(SUPERVISORS), rng.choice(modes)), 10),
        (lambda: floor.stops(rng.choice(SUPERVISORS)), 3),
        (lambda: floor.hangs_up(rng.randrange(31)), 2),
        (lambda: floor.the_bridge_is_started_again(), 4),
    ]  # fmt: skip
    weights = [weight for _, weight in acts]
    for _ in range(5000 if NIGHTLY else 500):
        rng.choices([act for act, _ in acts], weights)[0]()
        floor.settle()
        floor.supervisors_are_where_they_may_be()
        floor.everyone_is_in_exactly_one_place()
        floor.each_agent_has_at_most_one_call_or_offer()
        floor.a_closed_call_is_whole()
        floor.the_books_add_up()
    assert floor.reached == {"listens", "whispers", "talks", "alone with the caller", "again", "restart"}
