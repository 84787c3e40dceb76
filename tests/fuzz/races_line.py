"""A telephone system in virtual time that is as awkward as Asterisk and its manager link may be: a race is played on it.

What it may do, and no more: an action's answer is lost (done or not), or the action is refused; actions are done late where the
journal's disk is late; events come late, those of one channel in their order, those of different channels in any order
within the jitter; a jump of the dialplan overwrites a Redirect. Whoever looks only at the bridge's books would believe them:
what telephones ring and who is bridged with whom is counted here, on the other side.
"""

from __future__ import annotations

import heapq
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import lru_cache, partial
from typing import Any

from cti.centre_file import parse_centre
from cti.errors import CtiError
from cti.ids import AgentId, CallId, ChannelName, NodeName, OfferId, QueueName
from cti.model import commands as c
from cti.model import facts as f
from cti.model import signals as s
from cti.model.call import CallState
from cti.model.callback import agents_leg_of
from cti.model.centre import Centre
from cti.model.facts import AgentState, Device
from cti.services import agents, audit, call_control, callbacks, desk, errands, not_done, outbound, timers
from cti.services.dispatcher import WITH_THE_CALL
from cti.services.switchboard import Out, Switchboard
from cti.services.tally import Tally
from tests.support.floor_rig import BEGIN

SECOND = 1_000_000
RING = 15
ANSWER_WITHIN = 5 * SECOND
"""How long the bridge waits for the answer to an action (`LinkTimings.action`)."""
VISIT = 5 * SECOND
"""How often a waiting caller looks in."""
DISK = 2 * SECOND
"""How long a command waits for the disk at most."""
SLOWEST = 1_200_000
"""A link that is slower is given up (`LinkTimings.ping_reply`)."""
HELD_LOOK = 3 * SECOND
MAY_BE_REFUSED = (c.Deliver, c.DialCustomer, c.RingForCallback, c.DialParty)
CENTRE = """
name: Races
numbers:
  "5000": {flow: main, survival_queue: support}
queues:
  support: {titles: {en: Support}, wrap_up: 3, ring_timeout: 15, STRATEGY callback: {first: FIRST, attempts: 3, retry: 20, ring_timeout: 15}}
  sales: {titles: {en: Sales}, wrap_up: 0, ring_timeout: 15}
outbound: {allow: ["+1555"], caller_id: "+15550105000"}
agents:
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of race: who is on the floor."""

    name: str
    callers: int = 2
    agents: int = 1
    ring_all: bool = False
    first: str = "customer"
    """Of callbacks: who is called first."""
    callbacks: bool = False
    moves: bool = False
    """Agents hold, consult and send callers on."""
    outside: bool = False
    """Agents are at outside numbers."""


@lru_cache
def centre_of(kind: Kind) -> Centre:
    """The centre of a kind of race."""
    text = CENTRE.replace("STRATEGY", "strategy: ring_all," if kind.ring_all else "").replace("FIRST", kind.first)
    for place in range(kind.agents):
        number = f', number: "+1555010770{place}"' if kind.outside else ""
        text += f'  "100{place + 1}": {{name: A{place + 1}, queues: [support, sales]{number}}}\n'
    return parse_centre(text, source="races.yaml")


@dataclass(slots=True, kw_only=True)
class Troubles:
    """What may go wrong, as shares; a story is made shorter by leaving some away."""

    lost: float = 0.10
    refused: float = 0.03
    jump: float = 0.005
    late: bool = True
    """Events come late."""
    jitter: bool = True
    """Events of different channels overtake each other."""
    stalls: bool = True
    """The journal's disk is slow at times."""
    leave: bool = True
    """Callers hang up of themselves."""


class Wrong(AssertionError):
    """Something that must never be."""


class Uncounted(Tally):
    """Today's figures are not what races are about, and they are a third of the time."""

    def close(self, facts: Any) -> None:
        """Count nothing."""


@dataclass(slots=True, eq=False)
class Leg:
    """A channel to a telephone: an agent's or a third party's."""

    name: ChannelName
    call_id: CallId
    agent: AgentId | None
    caller: Caller | None
    unique_id: str = ""
    offer: OfferId | None = None
    state: str = "ringing"
    """Then "up", "room", "calling" (the customer's telephone rings), "gone"."""
    customer: Caller | None = None


@dataclass(slots=True, eq=False)
class Caller:
    """A caller's channel, or a called customer's."""

    name: ChannelName
    call_id: CallId
    unique_id: str
    place: str = "flow"
    """flow, wait, deliver, bridge, room, held, asked, elsewhere, gone; a customer's: ringing, keys."""
    legs: list[Leg] = field(default_factory=list)
    turn: int = 0
    """Grows with every move, so that what was meant for an earlier place does not happen."""
    bridge: str = ""
    lonely: int = 0


class Line:
    """One race: the floor, the telephone system, the people."""

    def __init__(self, kind: Kind, seed: str, troubles: Troubles | None = None, *, tell: bool = False) -> None:
        self.kind = kind
        self.rng = random.Random(seed)
        self.troubles = troubles or Troubles()
        self.t = 0
        self.now = BEGIN
        self.heap: list[tuple[int, float, int, Callable[[], None]]] = []
        self.serial = 0
        self.threads: dict[str, int] = {}
        self.story: list[str] | None = [] if tell else None
        centre = centre_of(kind)
        self.board = Switchboard(centre, node=NodeName("t1"), now=BEGIN)
        self.board.tally = Uncounted(centre, BEGIN)
        self.board.linked = True
        self.callers: dict[CallId, Caller] = {}
        self.legs: dict[ChannelName, Leg] = {}
        self.by_id: dict[str, Leg | Caller] = {}
        self.rooms: dict[CallId, list[Leg]] = {}
        self.made: set[str] = set()
        """Every channel id of ours that was ever used."""
        self.offers: set[OfferId] = set()
        self.in_use: dict[AgentId, int] = {}
        self.calm = False
        self.link = 0
        self.lag = self.rng.choice((0, 0, 1000, SECOND // 5, SLOWEST)) if self.troubles.late else 0
        self.jitter = self.rng.choice((0, 1000, SECOND // 20, SECOND // 3)) if self.troubles.jitter else 0
        self.facts: list[f.Fact] = []
        self.answered = self.delivered = self.lost = self.originated = 0
        self.lost_of: Counter[CallId | None] = Counter()
        """Actions for a call whose answer was lost."""

    # -- time

    def at(self, after: int, act: Callable[[], None]) -> None:
        """Let something happen in so many microseconds; what happens at the same moment happens in any order."""
        self.serial += 1
        heapq.heappush(self.heap, (self.t + after, self.rng.random(), self.serial, act))

    def say(self, what: str) -> None:
        """A line of the story."""
        if self.story is not None:
            self.story.append(f"{self.t / SECOND:11.6f}  {what}")

    def run(self, until: int, over: Callable[[], bool]) -> bool:
        """Let things happen until it is over, or until then. Whether it was over."""
        board, looked_at, due_at = self.board, -1, 0
        self.touched = True
        while not over():
            if self.touched:
                due = timers.next_due(board, self.now)
                due_at = round((due - BEGIN) / timedelta(microseconds=1)) if due is not None else until + 1
                if self.kind.callbacks:
                    due_at = min(due_at, looked_at + SECOND)  # the owner looks at callbacks every second
                due_at = max(due_at, self.t)
                self.touched = False
            first = self.heap[0][0] if self.heap else until + 1
            if min(due_at, first) > until:
                return False
            if due_at < first or (due_at == first and self.rng.random() < 0.5):
                if due_at == self.t:
                    self.same += 1
                    if self.same > 200:
                        raise Wrong(f"time stands still: {due}")
                else:
                    self.same = 0
                self._go(due_at)
                timers.tick(board, self.now)
                looked_at, self.touched = due_at, True
            else:
                at, _, _, act = heapq.heappop(self.heap)
                self._go(at)
                act()
            if self.touched:
                self.turn()
        return True

    same = 0
    look_again_at_once = False
    touched = True
    """Whether the floor was told something since it was last looked at."""

    def _go(self, at: int) -> None:
        if at != self.t:
            if self.look_again_at_once:
                self.look_again_at_once = False
                self.books_add_up(self.board)
                if self.look_again_at_once:
                    raise Wrong("a pause is over, and the engine was not told")
            self.t = at
            self.now = BEGIN + timedelta(microseconds=at)

    # -- the owner's turn

    def turn(self) -> None:
        """As the dispatcher: look at callbacks, see that the books add up, carry out."""
        board = self.board
        callbacks.attend(board, self.now)
        out = board.out
        if out.facts or out.commands:
            self.books_add_up(board)
            board.out = Out()
            self._books(out)
            if self.story is not None:
                for fact in out.facts:
                    self.say(f"    fact {_short(fact)}")
            self.facts += out.facts
            if out.commands:
                self._give(out)

    def books_add_up(self, board: Switchboard) -> None:
        """Raises `Wrong`. A pause that ends in this very moment counts as over, and the engine hears of it by the clock: before
        the clock moves it must have."""
        for breach in audit.findings(board, self.now):
            if breach.kind == "agent_out_of_step" and board.pauses.get(breach.agent_id) == self.now:  # type: ignore[arg-type]
                self.look_again_at_once = True
            elif breach.kind != "lease_overdue":
                raise Wrong(f"the books: {breach}")

    def _books(self, out: Out) -> None:
        busy: dict[AgentId, CallId] = {}
        for call in self.board.calls.values():
            for agent in {*call.offered_agents, *call.talkers}:
                if busy.setdefault(agent, call.call_id) != call.call_id:
                    raise Wrong(f"{agent} is in {busy[agent]} and in {call.call_id}")
        for fact in out.facts:
            if isinstance(fact, f.OfferMade):
                if fact.offer_id in self.offers:
                    raise Wrong(f"offer {fact.offer_id} was made twice")
                self.offers.add(fact.offer_id)
            elif isinstance(fact, f.CallAnswered):
                self.answered += 1

    def _give(self, out: Out) -> None:
        together = all(isinstance(command, WITH_THE_CALL) for command in out.commands)
        slow = self.rng.random()
        if together or not out.facts:
            wait = 0
        elif self.troubles.stalls and slow < 0.03 and not self.calm:
            wait = self.rng.randrange(DISK)
        else:
            wait = self.rng.randrange(30_000)
        self._next(out.commands, 0, wait)

    def _next(self, commands: list[c.Command], place: int, wait: int) -> None:
        """Sent one after another, each when the one before was answered; the link keeps their order."""
        if place < len(commands):
            arrive = max(self.t + wait + 500, self.link + 1)
            self.link = arrive if wait < 1000 else self.link
            self.at(arrive - self.t, partial(self._act, commands, place))

    def _act(self, commands: list[c.Command], place: int) -> None:
        command = commands[place]
        if not not_done.still_wanted(self.board, command):
            if self.story is not None:
                self.say(f"  not sent, it is too late: {_short(command)}")
            self._next(commands, place + 1, 0)
            return
        chance = self.rng.random()
        fate = "done"
        if not self.calm:
            if chance < self.troubles.lost / 2:
                fate = "lost, done"
            elif chance < self.troubles.lost:
                fate = "lost, not done"
            elif chance < self.troubles.lost + self.troubles.refused:
                fate = "refused"
        if fate == "refused" and not isinstance(command, MAY_BE_REFUSED):
            fate = "done"  # a Redirect or a Hangup is refused where there is no such channel, and nowhere else
        done = self.perform(command) if fate in ("done", "lost, done") else False
        if fate == "done" and not done:
            fate = "refused"
        if self.story is not None:
            self.say(f"  {fate}: {_short(command)}")
        if fate.startswith("lost"):
            self.lost += 1
            self.lost_of[getattr(command, "call_id", None)] += 1
            self.at(ANSWER_WITHIN, partial(self.unsure, command))
            self._next(commands, place + 1, ANSWER_WITHIN)
            return
        if fate == "refused":
            self.at(1000 + self.lag, partial(self.refused, command))
        self._next(commands, place + 1, 1000)

    def refused(self, command: c.Command) -> None:
        """The answer came: no."""
        self.touched = True
        not_done.take_back(self.board, command, self.now)

    def unsure(self, command: c.Command) -> None:
        """No answer came."""
        self.touched = True
        not_done.look_again(self.board, command, self.now)

    # -- events

    def tell(self, thread: str, signal: s.Signal) -> None:
        """The telephone system says something: late, in order on its channel."""
        spread = self.rng.randrange(self.jitter + 1)
        if self.calm:
            arrive = max(self.threads.get(thread, 0) + 1, self.t + 1000)
        else:
            arrive = max(self.threads.get(thread, 0) + 1, self.t + self.lag + spread)
        self.threads[thread] = arrive
        self.at(arrive - self.t, partial(self.hear, signal))

    def hear(self, signal: s.Signal) -> None:
        """The bridge hears it."""
        self.touched = True
        if self.story is not None:
            self.say(f"heard {_short(signal)}")
        call_control.handle_signal(self.board, signal, self.now)

    # -- what actions do. Each gives whether there was something to do it to.

    def perform(self, command: c.Command) -> bool:
        """Carry a command out, as Asterisk and the dialplan would."""
        match command:
            case c.HangUp():
                return self.hang_up(command.channel)
            case c.DialCustomer():
                return self.dial_customer(command)
            case c.RingForCallback():
                return self.ring_for(command)
            case c.DialParty():
                return self.dial_party(command)
            case c.HoldParty():
                leg = self.legs.get(command.channel)
                if leg is None:
                    return False
                self.leave_room(leg)
                leg.state = "held"
                return True
            case c.EnterRoom(party=True):
                leg = self.legs.get(command.channel)
                if leg is None:
                    return False
                self.enter_room(leg)
                return True
        channel = getattr(command, "channel", None)
        if channel is None:
            return True
        caller = next((one for one in self.callers.values() if one.name == channel), None)
        if caller is None:
            return False
        if caller.place == "wait" and self.rng.random() < self.troubles.jump and not self.calm:
            if not isinstance(command, c.SetQueue):
                self.say("  a jump of the dialplan overwrote it")
                self.waits(caller)
            return True
        match command:
            case c.Deliver():
                self.deliver(caller, command)
            case c.ReturnToWait():
                self.leave(caller)
                self.waits(caller)
            case c.HoldCaller():
                self.hold(caller, command.agent_channel)
            case c.EnterRoom():
                self.leave(caller)
                caller.place = "seeks"
                self.seek(caller, caller.turn, 0)
            case c.ConfirmCallback() | c.SendToVoicemail():
                self.leave(caller)
                caller.place = "asked"
                self.at(3 * SECOND, partial(self.gone_by_itself, caller, caller.turn))
            case c.SendOut() | c.SendToFlow():
                self.leave(caller)
                caller.place = "elsewhere"
                self.at(5 * SECOND, partial(self.back, caller, caller.turn, out=isinstance(command, c.SendOut)))
        return True

    def back(self, caller: Caller, turn: int, *, out: bool) -> None:
        """Nobody answered outside; or a flow that queues."""
        if caller.turn != turn or caller.place == "gone":
            return
        if not out:
            self.arrived(caller, again=True)
        else:
            self.waits(caller)

    def gone_by_itself(self, caller: Caller, turn: int) -> None:
        """The dialplan ends the call."""
        if caller.turn == turn and caller.place != "gone":
            self.gone(caller)

    # -- the caller's channel

    def arrives(self, number: str) -> Caller:
        """A caller comes in."""
        self.serial += 1
        call_id = CallId(f"t1-{self.serial}.{len(self.callers)}")
        caller = Caller(ChannelName(f"PJSIP/trunk-{self.serial:08x}"), call_id, call_id)
        self.callers[call_id] = self.by_id[call_id] = caller
        self.say(f"{call_id} calls")
        self.tell(
            caller.name,
            s.CallerEntered(at=self.now, call_id=call_id, channel=caller.name, caller_number=number, did="5000"),
        )
        self.numbers[call_id] = number
        self.at(self.rng.randrange(5000), partial(self.arrived, caller))
        return caller

    @property
    def numbers(self) -> dict[CallId, str]:
        """Who calls from where."""
        return self._numbers

    _numbers: dict[CallId, str]

    def arrived(self, caller: Caller, *, again: bool = False) -> None:
        """The flow's session: a place in the queue. It is not told by events, and may be before them."""
        if caller.place == "gone":
            return
        self.touched = True
        try:
            desk.caller_arrived(
                self.board, caller.call_id, self.now, channel=caller.name, number=self.numbers.get(caller.call_id), did="5000"
            )  # fmt: skip
        except desk.CallOver:
            return
        self.at(self.rng.randrange(5000), partial(self.queues, caller))

    def queues(self, caller: Caller) -> None:
        """The flow's last step."""
        self.touched = True
        with_queue = QueueName("support")
        try:
            desk.enqueue(
                self.board, caller.call_id, with_queue, self.now, skills=(), head_start_of_flow=timedelta()
            )  # fmt: skip
        except desk.CallOver:
            return
        if caller.place in ("flow", "elsewhere"):
            self.waits(caller)

    def waits(self, caller: Caller) -> None:
        """The caller is in the wait context."""
        caller.turn += 1
        caller.place = "wait"
        caller.bridge = ""
        self.tell(
            caller.name,
            s.WaitEntered(at=self.now, call_id=caller.call_id, channel=caller.name, unique_id=caller.unique_id),
        )
        self.at(VISIT, partial(self.visit, caller, caller.turn))

    def visit(self, caller: Caller, turn: int) -> None:
        """A waiting caller looks in."""
        if caller.turn != turn or caller.place != "wait":
            return
        call = self.board.calls.get(caller.call_id)
        sent = errands.command_of(call) if call is not None else None
        if sent is not None:
            self.perform(sent)  # the visit's own answer brings the caller there
            return
        if call is not None and call.state is CallState.WAITING and not self.board.engine.is_deliverable(call.call_id):
            self.touched = True
            call_control.looks_in(self.board, caller.call_id, self.now)
        self.at(VISIT, partial(self.visit, caller, turn))

    def leave(self, caller: Caller) -> None:
        """The caller's channel goes elsewhere: what it was in is over."""
        caller.turn += 1
        place, legs, caller.legs = caller.place, caller.legs, []
        caller.place = "moving"
        if place in ("bridge", "room"):
            self.parted(caller.name, caller.bridge, caller.call_id, None, caller.name)
        if place in ("deliver", "bridge"):
            for leg in legs:
                self.leg_gone(leg, 26 if place == "deliver" else 16)

    def parted(self, name: ChannelName, bridge: str, call_id: CallId, agent: AgentId | None, thread: str) -> None:
        """A channel leaves a bridge."""
        self.tell(thread, s.BridgeParted(at=self.now, bridge_id=bridge, channel=name, call_id=call_id, agent_id=agent))

    def joined(self, name: ChannelName, bridge: str, call_id: CallId, agent: AgentId | None) -> None:
        """A channel enters a bridge."""
        self.tell(name, s.BridgeJoined(at=self.now, bridge_id=bridge, channel=name, call_id=call_id, agent_id=agent))

    def gone(self, caller: Caller) -> None:
        """The caller's channel ends."""
        self.leave(caller)
        caller.place = "gone"
        del self.callers[caller.call_id]
        self.by_id.pop(caller.unique_id, None)
        self.tell(
            caller.name,
            s.ChannelGone(
                at=self.now, channel=caller.name, call_id=caller.call_id, agent_id=None, is_caller=True, cause=16,
                unique_id=caller.unique_id,
            ),
        )  # fmt: skip

    def hangs_up(self, caller: Caller) -> None:
        """The caller hangs up."""
        if caller.place == "gone":
            return
        self.say(f"{caller.call_id} hangs up ({caller.place})")
        if caller.place in ("ringing", "keys"):
            self.attempt_over(caller, "BUSY")
            return
        self.tell(caller.name, s.HangupAsked(at=self.now, channel=caller.name, call_id=caller.call_id, agent_id=None))
        self.gone(caller)

    # -- delivery

    def deliver(self, caller: Caller, command: c.Deliver) -> None:
        """The deliver context: all devices of the offer ring."""
        self.delivered += 1
        self.leave(caller)
        caller.place = "deliver"
        for agent, device in ((command.agent_id, command.device), *command.others):
            leg = self.new_leg(
                command.call_id, agent, caller, offer=command.offer_id, outside=device is Device.EXTERNAL
            )
            caller.legs.append(leg)
            self.tell(
                caller.name,
                s.AgentLegDialled(
                    at=self.now, call_id=caller.call_id, offer_id=command.offer_id, channel=caller.name,
                    agent_channel=leg.name, agent_id=agent,
                ),
            )  # fmt: skip
            self.at(self.rng.choice((0, 1000, 50_000)), partial(self.rings, leg))
        self.at(RING * SECOND, partial(self.dial_over, caller, caller.turn, command.offer_id, "NOANSWER", 19))

    def new_leg(
        self,
        call_id: CallId,
        agent: AgentId | None,
        caller: Caller | None,
        *,
        unique_id: str = "",
        offer: OfferId | None = None,
        outside: bool = False,
    ) -> Leg:
        """A telephone is called. An agent's must not be called for two calls at once."""
        self.serial += 1
        name = ChannelName(f"{'Local' if outside else 'PJSIP'}/{agent or 'trunk'}-{self.serial:08x}")
        leg = Leg(name, call_id, agent, caller, unique_id, offer)
        if agent is not None:
            for other in self.legs.values():
                if other.agent == agent and other.call_id != call_id:
                    raise Wrong(f"{agent} is called for {call_id} while {other.state} for {other.call_id}")
                if other.agent == agent and other.state == "ringing":
                    raise Wrong(f"{agent} is called twice for {call_id}")
            self.in_use[agent] = self.in_use.get(agent, 0) + 1
            self.device(agent)
        self.legs[name] = leg
        if unique_id:
            if unique_id in self.made:
                raise Wrong(f"{unique_id} was made twice")
            self.made.add(unique_id)
            self.by_id[unique_id] = leg
            self.originated += 1
        return leg

    def device(self, agent: AgentId) -> None:
        """Whether the agent's device is in use; nobody tells that of an outside number."""
        if not self.kind.outside:
            self.tell(
                f"device {agent}",
                s.DeviceReachable(
                    at=self.now, agent_id=agent, device=Device.SIP, reachable=True, in_use=self.in_use[agent] > 0
                ),
            )

    def rings(self, leg: Leg) -> None:
        """The telephone rings; what its owner makes of it."""
        if leg.state != "ringing":
            return
        thread = leg.caller.name if leg.caller is not None else leg.name
        self.tell(
            thread, s.AgentLegRinging(at=self.now, call_id=leg.call_id, offer_id=leg.offer, agent_channel=leg.name)
        )
        self.people_ring(leg)

    def people_ring(self, leg: Leg) -> None:
        """Overridden by the people."""

    def answers(self, leg: Leg) -> None:
        """The agent picks up."""
        caller = leg.caller
        if leg.state != "ringing":
            return
        if caller is None:
            self.picks_up(leg)
            return
        self.say(f"{leg.agent} answers {caller.call_id}")
        for other in [one for one in caller.legs if one is not leg]:
            self.leg_gone(other, 26)
        caller.turn += 1
        caller.legs = [leg]
        leg.state = "up"
        caller.place = "bridge"
        self.serial += 1
        caller.bridge = f"b{self.serial}"
        agent = None if self.kind.outside else leg.agent
        self.joined(leg.name, caller.bridge, leg.call_id, agent)
        self.joined(caller.name, caller.bridge, caller.call_id, None)
        self.people_talk(caller, leg)

    def people_talk(self, caller: Caller, leg: Leg) -> None:
        """Overridden by the people."""

    def dial_over(self, caller: Caller, turn: int, offer: OfferId, status: str, cause: int) -> None:
        """Nobody answered."""
        if caller.turn != turn or caller.place != "deliver":
            return
        legs, caller.legs = caller.legs, []
        for leg in legs:
            self.leg_gone(leg, 19 if status == "NOANSWER" else cause, thread=caller.name)
        self.tell(
            caller.name,
            s.OfferReturned(
                at=self.now, call_id=caller.call_id, offer_id=offer, channel=caller.name, status=status, cause=cause
            ),
        )
        self.waits(caller)

    def refuses(self, leg: Leg, cause: int) -> None:
        """The telephone refuses."""
        if leg.state != "ringing":
            return
        caller = leg.caller
        self.say(f"{leg.agent} refuses {leg.call_id}")
        if caller is None:
            self.leg_gone(leg, cause)
            return
        caller.legs.remove(leg)
        self.leg_gone(leg, cause, thread=caller.name)
        if not caller.legs and leg.offer is not None:
            self.dial_over(caller, caller.turn, leg.offer, "BUSY" if cause == 17 else "CHANUNAVAIL", cause)

    def leg_gone(self, leg: Leg, cause: int, *, thread: str = "", asked: bool = False) -> None:
        """A telephone's channel ends."""
        if leg.state == "gone":
            return
        state, leg.state = leg.state, "gone"
        if not thread and leg.caller is not None:
            # Dial ends it, when the bridge is through with both.
            both = max(self.threads.get(leg.name, 0), self.threads.get(leg.caller.name, 0))
            self.threads[leg.name] = self.threads[leg.caller.name] = both
            thread = leg.caller.name
        thread = thread or leg.name
        told_agent = leg.agent if not leg.name.startswith("Local") else None
        if asked:
            self.tell(thread, s.HangupAsked(at=self.now, channel=leg.name, call_id=leg.call_id, agent_id=told_agent))
        if state in ("up", "room"):
            bridge = f"room-{leg.call_id}" if state == "room" else (leg.caller.bridge if leg.caller else "")
            self.parted(leg.name, bridge, leg.call_id, told_agent, thread)
        del self.legs[leg.name]
        self.by_id.pop(leg.unique_id, None)
        self.tell(
            thread,
            s.ChannelGone(
                at=self.now, channel=leg.name, call_id=leg.call_id, agent_id=told_agent, is_caller=False, cause=cause,
                unique_id=leg.unique_id,
            ),
        )  # fmt: skip
        if leg.agent is not None:
            self.in_use[leg.agent] -= 1
            self.device(leg.agent)
        customer, leg.customer = leg.customer, None
        if customer is not None and customer.place == "bridge":
            self.gone(customer)
        if state == "room":
            self.left_room(leg)

    def agent_hangs_up(self, leg: Leg) -> None:
        """The agent hangs up; the caller's call ends with it where the two are alone."""
        if leg.state == "gone":
            return
        self.say(f"{leg.agent or 'outside'} hangs up on {leg.call_id} ({leg.state})")
        caller, state = leg.caller, leg.state
        self.leg_gone(leg, 16, asked=True)
        if caller is not None and state == "up" and caller.place == "bridge":
            self.gone(caller)

    def hang_up(self, channel: str) -> bool:
        """The action Hangup, by a channel's name or its unique id."""
        found: Leg | Caller | None = self.legs.get(ChannelName(channel)) or self.by_id.get(channel)
        if found is None:
            found = next((one for one in self.callers.values() if one.name == channel), None)
        if found is None:
            return False
        if isinstance(found, Caller):
            if found.place in ("ringing", "keys"):
                self.attempt_over(found, "CANCEL")
            else:
                self.gone(found)
            return True
        caller, state = found.caller, found.state
        if caller is not None and state == "ringing" and found in caller.legs:
            caller.legs.remove(found)
            self.leg_gone(found, 16, thread=caller.name)
            if not caller.legs and found.offer is not None:
                self.dial_over(caller, caller.turn, found.offer, "CANCEL", 16)
            return True
        if caller is None and state == "ringing" and found.unique_id.rpartition("-")[2].startswith("p"):
            self.party_failed(found, "CANCEL")
            return True
        self.leg_gone(found, 16)
        if caller is not None and state == "up" and caller.place == "bridge":
            self.gone(caller)
        return True

    # -- the room

    def hold(self, caller: Caller, agent_channel: ChannelName | None) -> None:
        """The caller hears music; the agent's leg goes into the room at the same moment."""
        leg = self.legs.get(agent_channel) if agent_channel is not None else None
        if leg is not None and leg.state == "up":
            self.parted(leg.name, caller.bridge, leg.call_id, leg.agent, leg.name)
            leg.state = "moving"
            if leg in caller.legs:
                caller.legs.remove(leg)
        self.leave(caller)
        if leg is not None:
            self.enter_room(leg)
        caller.place = "held"
        caller.lonely = 0
        self.at(HELD_LOOK, partial(self.look, caller, caller.turn))

    def look(self, caller: Caller, turn: int) -> None:
        """Is anybody there?"""
        if caller.turn != turn or caller.place != "held":
            return
        caller.lonely = 0 if self.rooms.get(caller.call_id) else caller.lonely + 1
        if caller.lonely >= 2:
            self.waits(caller)
        else:
            self.at(HELD_LOOK, partial(self.look, caller, turn))

    def seek(self, caller: Caller, turn: int, looks: int) -> None:
        """The caller waits a moment for somebody in the room."""
        if caller.turn != turn or caller.place != "seeks":
            return
        if self.rooms.get(caller.call_id):
            caller.place = "room"
            caller.bridge = f"room-{caller.call_id}"
            self.joined(caller.name, caller.bridge, caller.call_id, None)
        elif looks > 30:
            self.waits(caller)
        else:
            self.at(SECOND // 10, partial(self.seek, caller, turn, looks + 1))

    def enter_room(self, leg: Leg) -> None:
        """An agent's or a third party's leg."""
        if leg.state == "gone":
            return
        if leg.state != "room":
            leg.state = "room"
            self.rooms.setdefault(leg.call_id, []).append(leg)
            self.joined(leg.name, f"room-{leg.call_id}", leg.call_id, leg.agent)

    def leave_room(self, leg: Leg) -> None:
        """A third party is put on hold."""
        if leg.state == "room":
            self.parted(leg.name, f"room-{leg.call_id}", leg.call_id, leg.agent, leg.name)
            leg.state = "held"
            self.left_room(leg)

    def left_room(self, leg: Leg) -> None:
        """Somebody is out of the room; a caller who is alone there then goes."""
        room = self.rooms.get(leg.call_id, [])
        if leg in room:
            room.remove(leg)
        caller = self.callers.get(leg.call_id)
        if not room and caller is not None and caller.place == "room":
            self.gone(caller)

    # -- callbacks, third parties

    def dial_customer(self, command: c.DialCustomer) -> bool:
        """A customer's telephone is called: at most one for a callback at any time."""
        for other in self.by_id.values():
            if isinstance(other, Caller) and other.call_id == command.call_id:
                raise Wrong(f"a second call to the customer of {command.call_id}")
        if command.channel_id in self.made:
            raise Wrong(f"{command.channel_id} was made twice")
        self.made.add(command.channel_id)
        self.originated += 1
        self.serial += 1
        customer = Caller(ChannelName(f"PJSIP/trunk-{self.serial:08x}"), command.call_id, command.channel_id, "ringing")
        self.by_id[command.channel_id] = customer
        self.people_customer(customer)
        return True

    def people_customer(self, customer: Caller) -> None:
        """Overridden by the people."""

    def attempt_over(self, customer: Caller, status: str) -> None:
        """The customer was not reached."""
        if customer.place not in ("ringing", "keys"):
            return
        self.say(f"the customer of {customer.call_id}: {status}")
        place, customer.place = customer.place, "gone"
        del self.by_id[customer.unique_id]
        if place == "ringing":
            self.tell(customer.name, s.CustomerUnreached(at=self.now, unique_id=customer.unique_id, status=status))
        self.tell(
            customer.name,
            s.ChannelGone(
                at=self.now, channel=customer.name, call_id=customer.call_id, agent_id=None, is_caller=True, cause=17,
                unique_id=customer.unique_id,
            ),
        )  # fmt: skip

    def customer_there(self, customer: Caller) -> None:
        """The customer presses the key."""
        if customer.place != "ringing":
            return
        self.say(f"the customer of {customer.call_id} is there")
        self.tell(
            customer.name,
            s.CustomerAnswered(
                at=self.now, call_id=customer.call_id, channel=customer.name, unique_id=customer.unique_id, confirmed=True
            ),
        )  # fmt: skip
        self.callers[customer.call_id] = customer
        self.waits(customer)

    def ring_for(self, command: c.RingForCallback) -> bool:
        """An agent's telephone is called for a callback."""
        for other in self.legs.values():
            if other.call_id == command.call_id:
                raise Wrong(f"a second agent is called for {command.call_id}")
        leg = self.new_leg(
            command.call_id, command.agent_id, None, unique_id=command.channel_id, offer=command.offer_id
        )
        self.tell(
            leg.name,
            s.AgentLegDialled(
                at=self.now, call_id=leg.call_id, offer_id=leg.offer, channel=ChannelName(""), agent_channel=leg.name,
                agent_id=command.agent_id, unique_id=leg.unique_id,
            ),
        )  # fmt: skip
        self.at(self.rng.choice((0, 1000, 50_000)), partial(self.rings, leg))
        self.at(RING * SECOND, partial(self.rang_out, leg))
        return True

    def rang_out(self, leg: Leg) -> None:
        """Nobody took the agent's telephone."""
        if leg.state == "ringing":
            self.leg_gone(leg, 19)

    def picks_up(self, leg: Leg) -> None:
        """An agent who is called first is there: the customer is dialled from there; or a third party is."""
        if agents_leg_of(leg.call_id, leg.unique_id) is None:
            self.say(f"{leg.agent or 'outside'} is asked about {leg.call_id}")
            self.enter_room(leg)
            return
        self.say(f"{leg.agent} picks up for {leg.call_id}")
        leg.state = "calling"
        if (
            any(one.call_id == leg.call_id for one in self.legs.values() if one is not leg)
            or leg.call_id in self.callers
        ):
            raise Wrong(f"the customer of {leg.call_id} is called twice")
        assert leg.agent is not None
        assert leg.offer is not None
        self.tell(
            leg.name,
            s.AgentPickedUp(
                at=self.now, call_id=leg.call_id, offer_id=leg.offer, agent_id=leg.agent, channel=leg.name,
                unique_id=leg.unique_id,
            ),
        )  # fmt: skip
        self.people_called(leg)

    def people_called(self, leg: Leg) -> None:
        """Overridden by the people."""

    def customer_joins(self, leg: Leg) -> None:
        """The customer answers an agent who called first."""
        if leg.state != "calling":
            return
        self.serial += 1
        customer = Caller(ChannelName(f"PJSIP/trunk-{self.serial:08x}"), leg.call_id, f"t1-{self.serial}.9", "bridge")
        customer.bridge = f"b{self.serial}"
        self.callers[leg.call_id] = self.by_id[customer.unique_id] = customer
        leg.state, leg.customer, leg.caller = "up", customer, customer
        customer.legs = [leg]
        self.say(f"the customer of {leg.call_id} answers {leg.agent}")
        self.joined(customer.name, customer.bridge, leg.call_id, None)
        self.joined(leg.name, customer.bridge, leg.call_id, leg.agent)
        self.people_talk(customer, leg)

    def customer_away(self, leg: Leg) -> None:
        """The customer does not answer an agent who called first."""
        if leg.state == "calling":
            self.tell(leg.name, s.CustomerUnreached(at=self.now, unique_id=leg.unique_id, status="BUSY"))
            self.leg_gone(leg, 16)

    def dial_party(self, command: c.DialParty) -> bool:
        """A third party's telephone is called."""
        leg = self.new_leg(command.call_id, command.agent_id, None, unique_id=command.channel_id)
        self.party(leg, "dialled")
        self.at(self.rng.choice((0, 1000, 50_000)), partial(self.party_rings, leg))
        self.at(25 * SECOND, partial(self.party_failed, leg, "NOANSWER"))
        return True

    def party(self, leg: Leg, event: Any, status: str = "") -> None:
        """What dialling a third party says."""
        self.tell(
            leg.name,
            s.PartyLeg(
                at=self.now, call_id=leg.call_id, leg_id=leg.unique_id, channel=leg.name, event=event, status=status
            ),
        )

    def party_rings(self, leg: Leg) -> None:
        """A third party's telephone rings."""
        if leg.state == "ringing":
            self.party(leg, "ringing")
            self.people_ring(leg)

    def party_failed(self, leg: Leg, status: str) -> None:
        """A third party does not answer."""
        if leg.state == "ringing":
            self.party(leg, "failed", status)
            self.leg_gone(leg, 19)

    # -- agents at their pages

    def ask(self, act: Callable[..., object], *args: object, **more: object) -> bool:
        """An agent wants something. Whether it was granted."""
        self.touched = True
        try:
            act(self.board, *args, **more)
        except CtiError as why:
            self.say(f"{act.__name__} {args}: {why.message}")
            return False
        self.say(f"{act.__name__} {args}")
        return True

    def log_in(self) -> None:
        """All agents are ready."""
        self._numbers = {}
        outbound.open_trunk(self.board, self.now, there=True)
        device = Device.EXTERNAL if self.kind.outside else Device.SIP
        for agent in self.board.agents:
            if device is Device.SIP:
                self.board.devices[agent, device] = s.DeviceReachable(
                    at=self.now, agent_id=agent, device=device, reachable=True, in_use=False
                )
            agents.set_agent(self.board, agent, AgentState.READY, self.now, reason="", device=device)
        self.turn()


def _short(thing: Any) -> str:
    names = type(thing).__dataclass_fields__
    told = {
        name: getattr(thing, name)
        for name in ("call_id", "offer_id", "agent_id", "channel", "agent_channel", "unique_id", "bridge_id", "end", "status",
                     "cause", "in_use", "others", "event", "leg_id", "channel_id", "queue")
        if name in names
    }  # fmt: skip
    return (
        type(thing).__name__
        + " "
        + " ".join(f"{name}={value}" for name, value in told.items() if value not in (None, "", ()))
    )
