"""Random days with callbacks: whatever happens in whatever order, nobody is called twice for one turn and no place is lost."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from datetime import timedelta
from random import Random

from cti.ids import AgentId, CallId, ChannelName
from cti.model import facts as f
from cti.model import signals as s
from cti.model.call import CallState
from cti.model.callback import agents_leg_of, is_callback, is_callers_leg
from cti.model.centre import CallbackFirst, CallbackRules
from cti.model.commands import Command, Deliver, DialCustomer, HangUp, RingForCallback
from cti.model.facts import Device
from cti.services import agent_first, agents, callbacks, outbound, reconcile
from cti.services.floor import Refused
from tests.unit.services.test_agent_first import AgentLine, channel
from tests.unit.services.test_callback_rules import Line, channel_of, snapshot

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


# -- agent first -------------------------------------------------------------------------------------------------------

AGENT_RULES = replace(RULES, first=CallbackFirst.AGENT)


@dataclass
class Leg:
    """An agent's telephone that was called for a callback."""

    call_id: CallId
    agent: str
    name: ChannelName
    state: str = "ringing"
    """Then "calling" (the customer's telephone rings) and "talking"."""

    @property
    def customer(self) -> ChannelName:
        return ChannelName(f"{self.name}-customer")


class AgentDay:
    """A floor whose queues call the agent first, the telephones that ring, and what must hold."""

    def __init__(self, seed: int) -> None:
        self.rng = Random(seed)
        self.line = AgentLine(rules=AGENT_RULES, most_at_once=2)
        self.legs: dict[str, Leg] = {}
        self.made: set[str] = set()
        self.numbers = 0
        self.places: dict[CallId, object] = {}
        self.customers_dialled: Counter[CallId] = Counter()
        self.dialled_now: set[str] = set()

    def asks(self) -> None:
        self.numbers += 1
        caller = self.line.call(number=f"+155501{self.numbers:05d}")
        self.line.queue(caller, self.rng.choice(["support", "sales"]))
        call = self.line.board.calls.get(caller)
        if call is not None and self.rng.random() < 0.8:
            new = callbacks.ask_callback(self.line.board, call, call.caller_number, self.line.now)
            if new is not None:
                self.places[new] = (call.queued_at, call.head_start, call.queue)
            self.performed(self.line.drain())
            self.line.hang_up_caller(caller)

    def calls_in_again(self) -> None:
        waiting = [self.line.live(call_id) for call_id in self.line.board.callbacks]
        if waiting:
            known = self.rng.choice(waiting)
            caller = self.line.call(number=known.caller_number)
            self.line.queue(caller, known.queue or "support")

    def hangs_up(self) -> None:
        there = [c for c in self.line.board.calls.values() if c.channel and c.parent is None]
        if there:
            self.line.hang_up_caller(self.rng.choice(there).call_id)

    def agent(self) -> None:
        self.line.ready(self.rng.choice(["1001", "1002"]))

    def looks(self) -> None:
        self.line.pass_time(self.rng.choice([1, 1, 2, 10, 25]))
        callbacks.attend(self.line.board, self.line.now)

    def performed(self, commands: list[Command]) -> None:
        for command in commands:
            if isinstance(command, RingForCallback):
                assert command.channel_id not in self.made, "a channel id was used twice"
                assert all(leg.call_id != command.call_id for leg in self.legs.values()), "two calls at once"
                self.made.add(command.channel_id)
                chance = self.rng.random()
                if chance < 0.05:
                    agent_first.not_sent(self.line.board, command, self.line.now)
                elif chance < 0.9:  # else the command is lost on the way, and nobody says so
                    self.line.serial += 1
                    name = ChannelName(f"PJSIP/{command.agent_id}-{self.line.serial:08x}")
                    self.legs[command.channel_id] = Leg(command.call_id, command.agent_id, name)
            elif isinstance(command, HangUp):
                for uid in [uid for uid, leg in self.legs.items() if command.channel in (uid, leg.name)]:
                    self.end(uid, tell=self.rng.random() < 0.9)

    def signal(self, signal: s.Signal) -> None:
        self.line.signal(signal)

    def end(self, uid: str, *, cause: int = 16, tell: bool = True) -> None:
        leg = self.legs.pop(uid)
        now = self.line.now
        if tell and leg.state == "talking":
            self.signal(
                s.ChannelGone(
                    at=now, channel=leg.customer, call_id=leg.call_id, agent_id=None, is_caller=False, cause=16,
                    unique_id="t1-9.9",
                )
            )  # fmt: skip
        if tell:
            own = agents_leg_of(leg.call_id, uid)
            assert own is not None
            self.signal(
                s.ChannelGone(
                    at=now, channel=leg.name, call_id=leg.call_id, agent_id=own[1], is_caller=False, cause=cause,
                    unique_id=uid,
                )
            )  # fmt: skip

    def telephones(self, *, tell: bool = True) -> list[f.Fact]:
        """Something happens at one of the telephones; what Asterisk's ledger would say of it."""
        if not self.legs:
            return []
        uid = self.rng.choice(list(self.legs))
        leg, now, act = self.legs[uid], self.line.now, self.rng.random()
        own = agents_leg_of(leg.call_id, uid)
        assert own is not None
        if leg.state == "ringing" and act < 0.6:
            leg.state = "calling"
            self.customers_dialled[leg.call_id] += 1
            if tell:
                self.signal(
                    s.AgentPickedUp(
                        at=now, call_id=leg.call_id, offer_id=own[0], agent_id=own[1], channel=leg.name, unique_id=uid
                    )
                )
            return [
                f.CallbackDialled(
                    at=now, call_id=leg.call_id, attempt=self.line.live(leg.call_id).attempt + 1, channel=uid,
                    agent_id=own[1], inferred=True,
                )
            ] if leg.call_id in self.line.board.calls else []  # fmt: skip
        if leg.state == "ringing":
            self.end(uid, cause=self.rng.choice([17, 19, 21]), tell=tell)
        elif leg.state == "calling" and act < 0.4:
            leg.state = "talking"
            if tell:
                for channel_name, agent_id in ((leg.customer, None), (leg.name, own[1])):
                    self.signal(
                        s.BridgeJoined(
                            at=now, bridge_id=uid, channel=channel_name, call_id=leg.call_id, agent_id=agent_id
                        )
                    )
        elif leg.state == "calling" and act < 0.8:
            if tell:
                self.signal(s.CustomerUnreached(at=now, unique_id=uid, status="BUSY"))
            self.end(uid, tell=tell)
            return [f.CallbackFailed(at=now, call_id=leg.call_id, attempt=1, status="busy", inferred=True)]
        else:
            self.end(uid, tell=tell)
        return []

    def rejects(self) -> None:
        for agent_id, agent in self.line.board.agents.items():
            if agent.offer_id is not None:
                agents.reject(self.line.board, agent_id, agent.offer_id, self.line.now)
                return

    def supervisor(self) -> None:
        if self.line.board.callbacks:
            try:
                callbacks.cancel(
                    self.line.board, self.rng.choice(list(self.line.board.callbacks)), self.line.now, by="s"
                )
            except Refused:
                return

    def new_bridge(self) -> None:
        """The bridge is killed, the telephones go on; another takes over."""
        before, after = self.line, AgentLine(rules=AGENT_RULES, most_at_once=2)
        ledger = [fact for _ in range(self.rng.randrange(4)) for fact in self.telephones(tell=False)]
        after.now, after.serial = before.now, before.serial
        after.facts = list(before.facts)
        after.board.recover(before.facts, before.now)
        assert after.board.calls == before.board.calls
        after.now += timedelta(seconds=3)
        there = [
            s.LiveChannel(
                channel=c.channel, unique_id=c.call_id, call_id=c.call_id, offer_id=None, agent_id=None, device=None,
                context="cti-wait-run", state="Up", bridge_id=None, queue=None, caller_number=None, did="5000", seconds=9.0,
            )
            for c in before.board.calls.values() if c.channel and c.parent is None
        ]  # fmt: skip
        for uid, leg in self.legs.items():
            bridge = uid if leg.state == "talking" else None
            state = "Ringing" if leg.state == "ringing" else "Up"
            there.append(channel(leg.call_id, uid, name=leg.name, state=state, bridge=bridge))
            if leg.state != "ringing":
                there.append(channel(leg.call_id, "t1-9.9", name=leg.customer, bridge=bridge))
        if self.rng.random() < 0.7:
            reconcile.adopt_ledger(after.board, ledger, after.now)
        live = s.Snapshot(at=after.now, channels=tuple(there), devices=(), restarted=False)
        reconcile.adopt_snapshot(after.board, live, after.now)
        self.line = after
        for agent in ("1001", "1002"):
            after.signal(
                s.DeviceReachable(
                    at=after.now, agent_id=AgentId(agent), device=Device.SIP, reachable=True, in_use=False
                )
            )

    def holds(self) -> None:
        board = self.line.board
        assert set(board.callbacks) == {c for c in board.calls if is_callback(c)}
        assert outbound.in_use(board) <= 2
        for call in board.calls.values():
            if call.absent:
                assert board.engine.ticket(call.call_id) is not None
                key = self.places.get(call.call_id)
                assert key is None or key == (call.queued_at, call.head_start, call.queue)
        assert max(self.customers_dialled.values(), default=0) <= AGENT_RULES.attempts
        for uid, leg in self.legs.items():
            call = board.calls.get(leg.call_id)
            # Whoever is being rung, dialled or talked with is known; what is over is hung up when it shows.
            if call is not None and leg.state == "talking" and call.leg_id == uid:
                assert call.state is CallState.TALKING


def test_random_days_on_which_agents_call_back() -> None:
    happened: Counter[type[f.Fact]] = Counter()
    for seed in range(4):
        day = AgentDay(seed)
        acts = [day.asks] * 3 + [day.hangs_up, day.rejects, day.supervisor, day.new_bridge, day.calls_in_again]
        acts += [day.agent] * 2 + [day.looks] * 8 + [day.telephones] * 10
        for _ in range(STEPS):
            day.rng.choice(acts)()
            day.line.drain()
            while day.line.commands:
                commands, day.line.commands = day.line.commands, []
                day.performed(commands)
                day.line.drain()
            day.holds()
        happened.update(type(fact) for fact in day.line.facts)
    for kind, least in ((f.CallbackDialled, 20), (f.CallbackReached, 8), (f.CallbackFailed, 8), (f.CallAnswered, 8)):
        assert happened[kind] >= least, f"too few of {kind.__name__}: {happened[kind]}"
