"""Whether an agent's page, telephone and microphone are there, and since when one of them fails.

Theory of operation. Three witnesses speak of a browser telephone: the page's feed (open or closed, seen at once), its
heartbeats (every few seconds, a minute apart while the browser slows a hidden page down), and Asterisk (the registration).
What fails for longer than the centre's grace keeps the agent from being offered calls, by name, until it works again. An
agent with a SIP telephone needs its registration only. Of an agent whose page was never seen since this process began,
nothing is held against the page: a program without pages may take calls, too.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from cti.ids import AgentId, CallId
from cti.model.dial_facts import AgentTroubled, DialAsked
from cti.model.facts import AgentState, Device
from cti.services.agent_line import Microphone, Problem, Pulse

if TYPE_CHECKING:
    from cti.services.switchboard import Switchboard

SILENT = timedelta(seconds=15)
"""A visible page that has sent heartbeats and sends none for so long is not there, its connection may be what it is."""
SILENT_HIDDEN = timedelta(seconds=90)
"""A hidden page's timers run once a minute at worst."""
LOOK_EVERY = timedelta(seconds=1)
KEYS_KEPT = 10_000
"""Named requests to dial that are remembered."""


@dataclass(slots=True)
class Line:
    """One agent's page and browser telephone."""

    pages: int = 0
    """Open feeds."""
    opened_at: datetime | None = None
    """When the newest of them was opened."""
    heard_at: datetime | None = None
    pulse: Pulse | None = None
    signed_off_at: datetime | None = None
    """Since when the browser telephone's registration is gone; None: it is there, or nothing was heard of it."""
    failing: dict[Problem, datetime] = field(default_factory=dict)
    """What fails, since when."""

    @property
    def seen(self) -> bool:
        """Whether the page was ever there."""
        return self.opened_at is not None or self.heard_at is not None

    @property
    def open(self) -> bool:
        """Whether a page is connected; of a program that never opened a feed, whether it is heard of."""
        return self.pages > 0 if self.opened_at is not None else self.heard_at is not None

    def back_since(self, moment: datetime) -> bool:
        """Whether the page has shown itself after this moment, and is there."""
        times = (self.opened_at, self.heard_at)
        return self.open and any(at is not None and at > moment for at in times)


@dataclass(slots=True)
class Held:
    """A caller who is held for an agent's page that is gone (`resumption`)."""

    since: datetime
    there: bool = False
    """In the wait context."""
    trying: bool = False
    """On the way to the agent."""


@dataclass(slots=True)
class Away:
    """An agent whose page is gone while others of the call talk on (`resumption`)."""

    since: datetime
    until: datetime
    tried_at: datetime | None = None
    """When their telephone was last called back into the call."""


@dataclass(slots=True)
class Sounds:
    """What was last kept of how an agent's call sounds (`quality`)."""

    call_id: CallId
    at: datetime
    worst: float = 5.0


@dataclass(slots=True)
class Presence:
    """What is known of every agent's line. Nothing of it outlives the process, for the witnesses speak again; but `dialled`,
    which is read again from the facts."""

    lines: dict[AgentId, Line] = field(default_factory=dict)
    problems: dict[AgentId, tuple[Problem, ...]] = field(default_factory=dict)
    """Agents with problems that stand longer than the grace."""
    looked_at: datetime | None = None
    held: dict[CallId, Held] = field(default_factory=dict)
    away: dict[tuple[CallId, AgentId], Away] = field(default_factory=dict)
    sounds: dict[AgentId, Sounds] = field(default_factory=dict)
    dialled: dict[tuple[AgentId, str], CallId] = field(default_factory=dict)
    """What agents' requests to dial were named, and the calls they began (`dialling`)."""
    dialling: dict[CallId, datetime] = field(default_factory=dict)
    """Calls that agents make, and nobody has answered; until when that is believed."""
    counted: int = 0
    """Calls that agents began."""

    def remember_dial(self, fact: DialAsked) -> None:
        """An agent asked for a call and named the request: asked again, also after a restart, it is this call."""
        if fact.key:
            self.dialled[fact.agent_id, fact.key] = fact.call_id
            if len(self.dialled) > KEYS_KEPT:
                del self.dialled[next(iter(self.dialled))]

    def line(self, agent_id: AgentId) -> Line:
        """The line of this agent."""
        return self.lines.setdefault(agent_id, Line())

    def begin_sounds(self, agent_id: AgentId, call_id: CallId, now: datetime) -> Sounds:
        """The first report of a call."""
        self.sounds[agent_id] = Sounds(call_id=call_id, at=now)
        return self.sounds[agent_id]


def page(board: Switchboard, agent_id: AgentId, now: datetime, *, connected: bool) -> None:
    """A page's feed opened or closed."""
    if agent_id not in board.agents:
        return
    line = board.presence.line(agent_id)
    line.pages = max(0, line.pages + (1 if connected else -1))
    if connected:
        line.opened_at = now
    elif line.pages == 0:
        line.pulse = line.heard_at = None


def pulse(board: Switchboard, agent_id: AgentId, told: Pulse, now: datetime) -> None:
    """A page's heartbeat."""
    if agent_id in board.agents:
        line = board.presence.line(agent_id)
        line.heard_at, line.pulse = now, told


def signed(board: Switchboard, agent_id: AgentId, now: datetime, *, there: bool) -> None:
    """The browser telephone signed on or off."""
    if agent_id in board.agents:
        line = board.presence.line(agent_id)
        line.signed_off_at = None if there else line.signed_off_at or now


def failing(board: Switchboard, agent_id: AgentId, now: datetime) -> tuple[Problem, ...]:
    """What of an agent's line fails at this moment."""
    device = board.agents[agent_id].device
    if device is Device.EXTERNAL:
        return ()
    known = board.devices.get((agent_id, device))
    found: list[Problem] = []
    line = board.presence.lines.get(agent_id)
    if device is Device.BROWSER and line is not None and line.seen:
        silence = now - line.heard_at if line.heard_at is not None else timedelta()
        most = SILENT if line.pulse is None or line.pulse.visible else SILENT_HIDDEN
        if silence > most or not line.open:
            found.append(Problem.PAGE)
    if known is None or not known.reachable or (device is Device.BROWSER and _signed_off(line)):
        found.append(Problem.PHONE)
    heard = line.pulse if device is Device.BROWSER and line is not None else None
    if heard is not None and heard.microphone is not Microphone.OK:
        found.append(Problem.MICROPHONE)
    return tuple(found)


def _signed_off(line: Line | None) -> bool:
    return line is not None and line.pulse is not None and not line.pulse.registered


def next_due(board: Switchboard, now: datetime) -> datetime | None:
    """When to look again; None while nobody's line is known."""
    presence = board.presence
    if not presence.lines:
        return None
    return now if presence.looked_at is None else presence.looked_at + LOOK_EVERY


def tick(board: Switchboard, now: datetime) -> None:
    """Look at every agent who wants calls: name what has failed for longer than the grace, and what works again."""
    presence = board.presence
    if presence.looked_at is not None and timedelta() <= now - presence.looked_at < LOOK_EVERY:
        return
    presence.looked_at = now
    for agent_id in presence.lines.keys() & board.agents.keys():
        _look(board, agent_id, now)


def _look(board: Switchboard, agent_id: AgentId, now: datetime) -> None:
    line, grace = board.presence.lines[agent_id], board.centre.presence.grace
    wanted = board.agents[agent_id].chosen is AgentState.READY
    fails = failing(board, agent_id, now) if wanted else ()
    line.failing = {problem: line.failing.get(problem, now) for problem in fails}
    standing = tuple(problem for problem, since in line.failing.items() if now - since >= grace)
    if standing == board.presence.problems.get(agent_id, ()):
        return
    if standing:
        board.presence.problems[agent_id] = standing
    else:
        del board.presence.problems[agent_id]
    board.record(AgentTroubled(at=now, agent_id=agent_id, problems=tuple(problem.value for problem in standing)))
    board.dirty_agents.add(agent_id)
    board.dirty_queues.update(board.centre.agents[agent_id].queues if agent_id in board.centre.agents else ())
    board.sync_agent(agent_id, now)
