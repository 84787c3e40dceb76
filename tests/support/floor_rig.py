"""A floor on virtual time: the switchboard with a scripted telephone system that does what Asterisk would."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cti.centre_file import parse_centre
from cti.ids import AgentId, CallId, ChannelName, NodeName, QueueName
from cti.model import facts as f
from cti.model import signals as s
from cti.model.call import Call
from cti.model.centre import Centre
from cti.model.commands import Command, Deliver, ReturnToWait
from cti.model.facts import AgentState, Device
from cti.services import agents, call_control, desk, timers
from cti.services.audit import findings
from cti.services.ports import CustomerCard, LookUp
from cti.services.switchboard import Out, Switchboard

BEGIN = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
CENTRE_TEXT = """
name: Test centre
numbers:
  "5000": {flow: main, survival_queue: support}
queues:
  support: {titles: {en: Support}, wrap_up: 10, ring_timeout: 15, dispositions: [resolved, other]}
  sales: {titles: {en: Sales}, wrap_up: 0}
tiers:
  vip: {head_start: 600}
  rescue: {strict: 5}
agents:
  "1001": {name: Ada, queues: [support, sales]}
  "1002": {name: Bo, queues: [support]}
"""


def centre(text: str = CENTRE_TEXT) -> Centre:
    """Two queues, two agents, one number, two tiers; or another centre."""
    return parse_centre(text, source=str(Path("test-centre.yaml")))


class FloorRig:
    """Drives one switchboard. Keeps every fact (`facts`) and every command (`commands`) it asked for."""

    def __init__(self, text: str = CENTRE_TEXT) -> None:
        self.now = BEGIN
        self.board = Switchboard(centre(text), node=NodeName("t1"), now=self.now)
        self.facts: list[f.Fact] = []
        self.commands: list[Command] = []
        self.serial = 0
        self.sound = True
        """False where a test breaks the books on purpose."""

    # -- time and effects

    def drain(self) -> list[Command]:
        """Take what the last turn asked for. The books add up after every turn, in every test that uses this."""
        if self.sound:
            # Tests move the time without a tick: an offer that has just run out is no fault.
            assert [breach for breach in findings(self.board, self.now) if breach.kind != "lease_overdue"] == []
        out, self.board.out = self.board.out, Out()
        self.facts += out.facts
        self.commands += out.commands
        return out.commands

    def pass_time(self, seconds: float) -> list[Command]:
        """Let time pass, stopping at each moment at which something is due."""
        end = self.now + timedelta(seconds=seconds)
        commands: list[Command] = []
        idle = 0
        while idle < 3 and (due := timers.next_due(self.board, self.now)) is not None and due <= end:
            before, recorded = due, len(self.facts)
            self.now = max(due, self.now)
            timers.tick(self.board, self.now)
            commands += self.drain()
            # What is due at a moment may make something else due at the same moment; but not for ever.
            stands = timers.next_due(self.board, self.now) == before and len(self.facts) == recorded
            idle = idle + 1 if stands else 0
        self.now = end
        return commands

    def signal(self, signal: s.Signal) -> list[Command]:
        """The telephone system says something."""
        call_control.handle_signal(self.board, signal, self.now)
        return self.drain()

    # -- people

    def call(self, *, number: str | None = "+15550100002", tier: str = "") -> CallId:
        """A caller arrives; the directory knows the tier at once."""
        self.serial += 1
        call_id = CallId(f"t1-{int(self.now.timestamp())}.{self.serial}")
        channel = ChannelName(f"PJSIP/trunk-{self.serial:08x}")
        self.signal(s.CallerEntered(at=self.now, call_id=call_id, channel=channel, caller_number=number, did="5000"))
        card = CustomerCard(
            customer_id=1, name="Zoë", tier=tier, language="en", phones=(number or "",), company="", notes=""
        )
        self.board.know_customer(call_id, LookUp(match=f.Match.FOUND, cards=(card,)), self.now)
        desk.caller_arrived(self.board, call_id, self.now, channel=channel, number=number, did="5000")
        self.drain()
        return call_id

    def queue(self, call_id: CallId, queue: str = "support") -> list[Command]:
        """The flow queues the caller, the channel reaches the wait context."""
        desk.enqueue(self.board, call_id, QueueName(queue), self.now, skills=(), head_start_of_flow=timedelta())
        self.drain()
        return self.waits(call_id)

    def channel(self, call_id: CallId) -> ChannelName:
        """The caller's channel."""
        return self.board.calls[call_id].channel

    def ready(self, agent: str, *, device: Device = Device.SIP) -> list[Command]:
        """The agent's phone is there and the agent ready."""
        agent_id = AgentId(agent)
        self.signal(s.DeviceReachable(at=self.now, agent_id=agent_id, device=device, reachable=True, in_use=False))
        agents.set_agent(self.board, agent_id, AgentState.READY, self.now, reason="", device=device)
        return self.drain()

    def leg(self, agent: str) -> ChannelName:
        """The agent's channel of the present offer."""
        return ChannelName(f"PJSIP/{agent}-{self.serial:08x}")

    def ring(self, call_id: CallId, agent: str) -> list[Command]:
        """The agent's phone rings."""
        call = self.board.calls[call_id]
        self.signal(
            s.AgentLegDialled(
                at=self.now,
                call_id=call_id,
                offer_id=call.offer_id,
                channel=call.channel,
                agent_channel=self.leg(agent),
                agent_id=AgentId(agent),
            )
        )
        return self.signal(
            s.AgentLegRinging(at=self.now, call_id=call_id, offer_id=call.offer_id, agent_channel=self.leg(agent))
        )

    def answer(self, call_id: CallId, agent: str, *, bridge: str = "b1") -> list[Command]:
        """Both legs enter a bridge."""
        self.signal(
            s.BridgeJoined(
                at=self.now, bridge_id=bridge, channel=self.leg(agent), call_id=call_id, agent_id=AgentId(agent)
            )
        )
        return self.signal(
            s.BridgeJoined(at=self.now, bridge_id=bridge, channel=self.channel(call_id), call_id=call_id, agent_id=None)
        )

    def not_answered(self, call_id: CallId, *, status: str = "NOANSWER", cause: int = 19) -> list[Command]:
        """The deliver context gives the caller back."""
        call = self.board.calls[call_id]
        assert call.offer_id is not None
        self.signal(
            s.OfferReturned(
                at=self.now, call_id=call_id, offer_id=call.offer_id, channel=call.channel, status=status, cause=cause
            )
        )
        return self.waits(call_id)

    def waits(self, call_id: CallId) -> list[Command]:
        """The caller's channel reaches the wait context."""
        return self.signal(s.WaitEntered(at=self.now, call_id=call_id, channel=self.channel(call_id)))

    def part(self, call_id: CallId, channel: ChannelName, agent: str | None, *, bridge: str = "b1") -> list[Command]:
        """A channel leaves the bridge."""
        return self.signal(
            s.BridgeParted(
                at=self.now,
                bridge_id=bridge,
                channel=channel,
                call_id=call_id,
                agent_id=AgentId(agent) if agent else None,
            )
        )

    def hang_up_caller(self, call_id: CallId) -> list[Command]:
        """The caller hangs up."""
        channel = self.channel(call_id)
        self.signal(s.HangupAsked(at=self.now, channel=channel, call_id=call_id, agent_id=None))
        return self.signal(
            s.ChannelGone(at=self.now, channel=channel, call_id=call_id, agent_id=None, is_caller=True, cause=16)
        )

    def of(self, kind: type[f.Fact]) -> list[f.Fact]:
        """The facts of one kind, in order."""
        return [fact for fact in self.facts if type(fact) is kind]

    def live(self, call_id: CallId) -> Call:
        """The live call."""
        return self.board.calls[call_id]

    def delivered(self) -> list[tuple[CallId, AgentId]]:
        """Every delivery asked for so far."""
        return [(c.call_id, c.agent_id) for c in self.commands if isinstance(c, Deliver)]

    def returned(self) -> list[CallId]:
        """Every return to wait asked for so far."""
        return [c.call_id for c in self.commands if isinstance(c, ReturnToWait)]
