"""Random days with callbacks: whatever happens in whatever order, nobody is called twice for one turn and no place is lost."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from random import Random

from cti.ids import CallId, ChannelName
from cti.model import facts as f
from cti.model import signals as s
from cti.model.callback import is_callback, is_callers_leg
from cti.model.centre import CallbackRules
from cti.model.commands import Deliver, DialCustomer, HangUp
from cti.services import callbacks
from cti.services.floor import Refused
from tests.unit.services.test_callbacks import Line, channel_of, snapshot

STEPS = 250
RULES = CallbackRules(attempts=3, retry=timedelta(seconds=20), ring_timeout=timedelta(seconds=15))


class Day:
    """A floor, the carrier's channels that exist, and what must hold."""

    def __init__(self, seed: int) -> None:
        self.rng = Random(seed)
        self.line = Line(rules=RULES, most_at_once=3)
        self.lines = [self.line]
        self.legs: dict[str, CallId] = {}
        """Channels of attempts that exist at the carrier, by unique id."""
        self.made: set[str] = set()
        self.numbers = 0
        self.keys: dict[CallId, object] = {}

    # -- what may happen

    def calls(self) -> None:
        self.numbers += 1
        caller = self.line.call(number=f"+155501{self.numbers:05d}", tier=self.rng.choice(["", "vip"]))
        self.line.queue(caller, self.rng.choice(["support", "sales"]))

    def asks(self) -> None:
        waiting = [c for c in self.line.board.calls.values() if c.state.value in ("waiting", "offered") and c.channel]
        if waiting:
            call = self.rng.choice(waiting)
            place = (call.queued_at, call.head_start, call.skills, call.strict, call.queue)
            new = callbacks.ask_callback(self.line.board, call, call.caller_number, self.line.now)
            self.line.drain()
            if new is not None:
                self.keys[new] = place
                self.line.hang_up_caller(call.call_id)

    def hangs_up(self) -> None:
        there = [c for c in self.line.board.calls.values() if c.channel and not c.leg_id]
        if there:
            self.line.hang_up_caller(self.rng.choice(there).call_id)

    def agent(self) -> None:
        self.line.ready(self.rng.choice(["1001", "1002"]))

    def looks(self) -> None:
        self.line.pass_time(self.rng.choice([1, 1, 2, 10, 25]))
        callbacks.attend(self.line.board, self.line.now)
        self.performed(self.line.drain())

    def performed(self, commands: list[object]) -> None:
        for command in commands:
            if isinstance(command, DialCustomer):
                assert command.channel_id not in self.made, "a channel id was used twice"
                assert not [leg for leg, call in self.legs.items() if call == command.call_id], "two calls at once"
                self.made.add(command.channel_id)
                if self.rng.random() < 0.9:  # else the command is lost on the way, and nobody says so
                    self.legs[command.channel_id] = command.call_id
            elif isinstance(command, HangUp):
                self.legs.pop(command.channel, None)
            elif isinstance(command, Deliver):
                assert command.channel, "delivered a call nobody is on"

    def carrier(self) -> None:
        dialling = [(leg, call) for leg, call in self.legs.items() if leg.endswith(self._attempt(call, leg))]
        if not dialling:
            return
        leg, call_id = self.rng.choice(dialling)
        act = self.rng.random()
        if act < 0.5:
            self.line.serial += 1
            channel = ChannelName(f"PJSIP/trunk-{self.line.serial:08x}")
            confirmed = self.rng.random() < 0.8
            self.performed(
                self.line.signal(
                    s.CustomerAnswered(
                        at=self.line.now, call_id=call_id, channel=channel, unique_id=leg, confirmed=confirmed
                    )
                )
            )
            call = self.line.board.calls.get(call_id)
            if confirmed and call is not None and call.channel == channel:
                self.performed(self.line.waits(call_id))
            else:
                self.legs.pop(leg, None)
        else:
            self.legs.pop(leg)
            if act < 0.75:
                self.line.signal(s.CustomerUnreached(at=self.line.now, unique_id=leg, status="BUSY"))
            if act > 0.6:
                call = self.line.board.calls.get(call_id)
                on_line = call is not None and call.leg_id == leg and call.channel
                channel = call.channel if call is not None and on_line else ChannelName("PJSIP/trunk-0000eeee")
                self.line.signal(
                    s.ChannelGone(
                        at=self.line.now, channel=channel, call_id=call_id, agent_id=None, is_caller=True, cause=16,
                        unique_id=leg,
                    )
                )  # fmt: skip

    def _attempt(self, call_id: CallId, leg: str) -> str:
        assert is_callers_leg(call_id, leg)
        return leg[len(call_id) :]

    def supervisor(self) -> None:
        if self.line.board.callbacks:
            try:
                callbacks.cancel(
                    self.line.board, self.rng.choice(list(self.line.board.callbacks)), self.line.now, by="s"
                )
            except Refused:
                return
            self.performed(self.line.drain())

    def new_bridge(self) -> None:
        """The bridge is killed; another takes over from the journal, and what the carrier has."""
        before = self.line
        after = Line(rules=RULES, most_at_once=3)
        after.now, after.serial = before.now, before.serial
        after.facts = list(before.facts)
        after.board.recover(before.facts, before.now)
        assert after.board.calls == before.board.calls
        assert after.board.callbacks == before.board.callbacks
        inbound = [
            s.LiveChannel(
                channel=c.channel, unique_id=c.call_id, call_id=c.call_id, offer_id=None, agent_id=None, device=None,
                context="cti-wait-run", state="Up", bridge_id=None, queue=None, caller_number=None, did="5000", seconds=9.0,
            )
            for c in before.board.calls.values() if c.channel and not c.leg_id
        ]  # fmt: skip
        legs = []
        for leg, call_id in self.legs.items():
            call = before.board.calls.get(call_id)
            reached = call is not None and call.leg_id == leg and bool(call.channel)
            live = channel_of(call_id, leg, context="cti-wait-run" if reached else "cti-callback")
            legs.append(live)
        after.now += timedelta(seconds=3)
        snapshot(after, *inbound, *legs)
        self.performed(after.commands)
        after.commands.clear()
        self.line = after
        self.lines.append(after)

    # -- what must hold

    def holds(self) -> None:
        board = self.line.board
        assert set(board.callbacks) == {c for c in board.calls if is_callback(c)}
        for call in board.calls.values():
            if call.absent:
                assert call.offer_id is None
                ticket = board.engine.ticket(call.call_id)
                assert ticket is not None
                key = self.keys.get(call.call_id)
                assert key is None or key == (call.queued_at, call.head_start, call.skills, call.strict, call.queue)
        dialled = Counter(
            fact.call_id for fact in self.line.of(f.CallbackDialled) if isinstance(fact, f.CallbackDialled)
        )
        assert max(dialled.values(), default=0) <= RULES.attempts


def test_random_days_with_callbacks() -> None:
    happened: Counter[type[f.Fact]] = Counter()
    for seed in range(3):
        day = Day(seed)
        acts = [day.calls] * 4 + [day.asks] * 4 + [day.hangs_up] + [day.agent] * 2 + [day.looks] * 8
        acts += [day.carrier] * 6 + [day.supervisor, day.new_bridge]
        for _ in range(STEPS):
            day.rng.choice(acts)()
            day.performed([c for c in day.line.commands if isinstance(c, Deliver)])
            day.line.commands.clear()
            day.holds()
        happened.update(type(fact) for fact in day.line.facts)
    for kind, least in ((f.CallbackAsked, 30), (f.CallbackDialled, 10), (f.CallbackReached, 3), (f.CallbackFailed, 3)):
        assert happened[kind] >= least, f"too few of {kind.__name__}: {happened[kind]}"
