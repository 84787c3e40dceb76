"""What Asterisk's own event ledger (CEL) says about calls nobody watched. Pure: bytes and values in, facts out.

The ledger is written by `cel_custom` whether or not a bridge runs: one CSV line an event, columns in `COLUMNS`. Observed on
22.10.1: events of different channels are not in order of time; on a bridge's two `BRIDGE_ENTER` lines the second names
the first as its peer; `hangupsource` of both legs' HANGUP names the channel whose far end hung up, or
`dialplan/builtin`; an event of our own carries `{"extra": "..."}`.

A call's id is its caller channel's unique id; a callback's customer is on the leg the journal names. The linked id merges when channels are bridged, so it only ever helps to
find an agent's leg, never a call.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from cti.asterisk.cel_known import EPOCH, KnownCall
from cti.asterisk.cel_lines import COLUMNS, LedgerEvent, LedgerRead, read_ledger
from cti.ids import AgentId, CallId, NodeName, QueueName
from cti.model import facts as f
from cti.model.call import CALL_TRANSITIONS
from cti.model.facts import Fact, HangupBy
from cti.model.talk import call_of_party_leg

ROOMS_OWN = "CBAnn/"
"""A room's own channel, for prompts nobody plays."""
UNHEARD = 44
"""Q.850 cause of a leg that Asterisk ended because nothing was heard of it."""
SAME_MOMENT = timedelta(seconds=2)
"""A bridge's facts carry AMI's time of the same event; within this an answer (or survival) is the known one."""

_CALL_ID = re.compile(r"[A-Za-z0-9-]{0,64}[0-9]{1,12}\.[0-9]{1,12}\Z")
_NUMBER = re.compile(r"\+?[0-9]{1,32}\Z")
_QUEUE = re.compile(r"[a-z][a-z0-9_]{0,63}\Z")
_AGENT = re.compile(
    r"(?:PJSIP/([0-9]{2,6})(?:-web)?-[0-9a-f]{8}|Local/[0-9]{10}3([0-9]{2,6})@cti-outside-[0-9a-f]{8};1)\Z"
)
"""An agent's device; or the near half of what leads to an agent at an outside number, which is up once a key was pressed."""
_EXTENSION = re.compile(r"[0-9]{2,6}\Z")

__all__ = ["COLUMNS", "LedgerEvent", "LedgerRead", "infer_facts", "read_ledger", "settled_position"]

INBOUND = "CTI_INBOUND"
_UNREACHED = {"BUSY": "busy", "NOANSWER": "no_answer", "CANCEL": "no_answer"}
"""Asterisk's DIALSTATUS of a customer -> what is told of the attempt."""


def settled_position(read: LedgerRead, known: Mapping[CallId, KnownCall]) -> int:
    """The position from which to read next time so that no call still open in `known` loses its beginning."""
    legs = {call.leg_id for call in known.values() if call.leg_id and not call.closed}
    for event in read.events:
        if event.unique_id in legs:
            return event.offset
        call_id = _call_of(event)
        if call_id is not None and event.event == INBOUND and not _is_closed(known, call_id):
            return event.offset
    return read.position


def infer_facts(
    events: Iterable[LedgerEvent],
    known: Mapping[CallId, KnownCall],
    *,
    asterisk_started_at: datetime | None = None,
    number: Callable[[str], str | None] = str,
) -> list[Fact]:
    """The facts of calls that `events` show and `known` does not have, in order of time, all `inferred`.

    The same events again, with those facts added to `known`, give nothing. Offers are not told: whoever adopts the facts
    settles them (an answer, survival or the end releases the lease).

    `asterisk_started_at`: Asterisk has been restarted since, so no call begun before it lives; one whose end the ledger
    never got ends at its last event. `number` turns a cleaned number into E.164.
    """
    reading = _Reading(known, number)
    # Stable by time: lines of different channels change places, those of one channel never do at the same moment.
    for event in sorted(events, key=lambda event: event.at):
        reading.take(event)
    if asterisk_started_at is not None:
        reading.close_before(asterisk_started_at)
    return sorted(reading.facts, key=lambda fact: fact.at)


@dataclass(slots=True)
class _Story:
    """One call while the ledger is read: `known` moves with the facts that are news."""

    known: KnownCall
    channel: str
    talk: tuple[AgentId, str] | None = None
    """The agent talked with and that leg's unique id ("" when the talk began before the ledger we have)."""
    talk_is_news: bool = False
    left: tuple[Literal["caller", "agent"], datetime] | None = None
    """Who left the last talk first, if nothing came after it."""
    last_at: datetime = EPOCH


class _Reading:
    """One pass over the events. Channels are told apart by unique id: names repeat after a restart of Asterisk."""

    def __init__(self, known: Mapping[CallId, KnownCall], number: Callable[[str], str | None]) -> None:
        self._known = known
        self._number = number
        self.facts: list[Fact] = []
        self._stories: dict[str, _Story] = {}
        """By the unique id of the caller's channel."""
        self._ids: dict[str, str] = {}
        """Channel name -> unique id, of channels that are there now."""
        self._bridges: dict[str, dict[str, str]] = {}
        """Bridge id -> unique id -> channel name."""
        self._outside: dict[str, AgentId] = {}
        """Unique id -> the agent at an outside number who took the call on that leg of the trunk."""
        for call in known.values():
            if not call.closed and call.callers_leg:
                self._begin(call)

    def _begin(self, call: KnownCall) -> _Story:
        story = _Story(known=call, channel=call.channel, last_at=call.last_at)
        self._stories[call.callers_leg] = story
        if call.channel:
            self._ids[call.channel] = call.callers_leg
        return story

    def _tell(self, story: _Story, fact: f.CallFact) -> None:
        self.facts.append(fact)
        story.known = story.known.after(fact)

    def take(self, event: LedgerEvent) -> None:
        self._ids[event.channel] = event.unique_id
        story = self._stories.get(event.unique_id)
        if story is not None:
            story.last_at = max(story.last_at, event.at)
        match event.event:
            case "CTI_INBOUND":
                self._inbound(event)
            case "CTI_SURVIVAL" if story is not None:
                self._survival(story, event)
            case "CTI_CALLBACK" if story is not None:
                self._callback(story, event)
            case "CTI_VOICEMAIL" if story is not None:
                self._voicemail(story, event)
            case "CTI_RECORDING":
                self._recording(event)
            case "CTI_AGENT" if len(event.fields) == 2 and _EXTENSION.match(event.fields[1]):
                self._outside[event.unique_id] = AgentId(event.fields[1])
            case "BRIDGE_ENTER":
                self._enter(event)
            case "BRIDGE_EXIT":
                self._exit(event)
            case "HANGUP" | "CHAN_END":
                self._gone(event, story)

    def _inbound(self, event: LedgerEvent) -> None:
        call_id = _call_of(event)
        if call_id is None or call_id in self._stories or call_id in self._known or len(event.fields) != 3:
            return
        _, number, did = event.fields
        story = self._begin(KnownCall(call_id=call_id, channel=event.channel, last_at=event.at))
        self._tell(
            story,
            f.CallStarted(
                at=event.at,
                call_id=call_id,
                node=NodeName(call_id.rpartition("-")[0]),
                caller_number=self._number(number) if _NUMBER.match(number) else None,
                did=did if _NUMBER.match(did) else "",
                channel=event.channel,
                inferred=True,
            ),
        )

    def _survival(self, story: _Story, event: LedgerEvent) -> None:
        story.left = None
        if any(abs(moment - event.at) <= SAME_MOMENT for moment in story.known.survivals):
            return
        queue = event.fields[1] if len(event.fields) > 1 and _QUEUE.match(event.fields[1]) else None
        self._tell(
            story,
            f.SurvivalEntered(
                at=event.at,
                call_id=story.known.call_id,
                queue=QueueName(queue) if queue is not None else None,
                inferred=True,
            ),
        )

    def _callback(self, story: _Story, event: LedgerEvent) -> None:
        """The customer of a callback pressed the key; or an agent picked up, from whose telephone the customer is dialled,
        and who that came to nothing for."""
        known = story.known
        if not known.callback or known.channel or event.fields[:1] != (known.call_id,):
            return
        if known.first_agent is not None:
            if event.fields[1:2] == ("calling",):
                self._dialled(story, event.at)
            elif event.fields[1:2] == ("unreached",) and known.dialled:
                status = _UNREACHED.get(event.fields[2] if len(event.fields) > 2 else "", "unreachable")
                self._tell(
                    story,
                    f.CallbackFailed(
                        at=event.at, call_id=known.call_id, attempt=known.attempt, status=status, inferred=True
                    ),
                )
                del self._stories[event.unique_id]
        else:
            story.channel = event.channel
            self._tell(
                story, f.CallbackReached(at=event.at, call_id=known.call_id, channel=event.channel, inferred=True)
            )

    def _dialled(self, story: _Story, at: datetime) -> None:
        """From the telephone of the agent who was called first."""
        if not story.known.dialled:
            self._tell(story, story.known.dialling(at))

    def _voicemail(self, story: _Story, event: LedgerEvent) -> None:
        story.left = None
        if len(event.fields) < 2 or not event.fields[1] or event.fields[1] in story.known.voicemails:
            return
        seconds = event.fields[2] if len(event.fields) > 2 else ""
        self._tell(
            story,
            f.VoicemailLeft(
                at=event.at,
                call_id=story.known.call_id,
                path=event.fields[1],
                seconds=float(seconds) if re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,6})?", seconds) else 0.0,
                inferred=True,
            ),
        )

    def _recording(self, event: LedgerEvent) -> None:
        """Asterisk began to record. The line is of the customer's channel, which names the call it belongs to."""
        if len(event.fields) != 2 or event.fields[1] != f"{event.fields[0]}.wav":
            return
        for story in self._stories.values():
            if story.known.call_id == event.fields[0] and not story.known.recorded:
                call_id = story.known.call_id
                self._tell(story, f.RecordingStarted(at=event.at, call_id=call_id, path=event.fields[1], inferred=True))

    def _enter(self, event: LedgerEvent) -> None:
        members = self._bridges.setdefault(event.bridge_id, {})
        for peer in (
            peer for peer in event.peers if not peer.startswith(ROOMS_OWN)
        ):  # may have come in before the ledger we have: then its name stands for its id
            members[self._ids.get(peer, peer)] = peer
        if not event.channel.startswith(ROOMS_OWN):
            members[event.unique_id] = event.channel
        for unique_id in list(members):
            story = self._stories.get(unique_id)
            if story is not None and story.talk is None:
                self._meet(story, members, event.at)

    def _meet(self, story: _Story, members: Mapping[str, str], at: datetime) -> None:
        """Proof of talk: caller and agent, and nobody else, are in one bridge."""
        others = [unique_id for unique_id in members if unique_id != story.known.callers_leg]
        first = story.known.first_agent
        if len(others) != 1:
            return
        agent_id = first or self._agent(others[0], members[others[0]])
        if agent_id is None or others[0] in self._stories:
            return
        leg = "" if others[0] == members[others[0]] or first is not None else others[0]
        if first is not None and not story.known.channel:
            self._dialled(story, at)
            story.channel = members[others[0]]
            self._tell(
                story,
                f.CallbackReached(at=at, call_id=story.known.call_id, channel=story.channel, inferred=True),
            )
        story.left = None
        for talk in story.known.talks:
            if talk.agent_id == agent_id and abs(talk.answered_at - at) <= SAME_MOMENT:
                story.talk, story.talk_is_news = (agent_id, leg), talk.ended_at is None
                return
        call_id = story.known.call_id
        unended = story.known.talking
        if unended is not None and at < unended.answered_at:
            return  # older than what the journal has: it had its chance when that was adopted
        if unended is not None and unended.agent_id == agent_id:
            story.talk, story.talk_is_news = (agent_id, leg), True  # the known talk goes on; its end is news
            return
        if unended is not None:
            self._tell(story, f.TalkEnded(at=at, call_id=call_id, agent_id=unended.agent_id, inferred=True))
        # An open offer is settled by the answer itself, so OFFERED counts as the waiting it came from.
        if (story.known.state, f.CallAnswered) not in CALL_TRANSITIONS:
            # Answered out of a state that leads to no answer: only the dialplan's own queue can have done it, and
            # the line that says so is lost.
            self._tell(story, f.SurvivalEntered(at=at, call_id=call_id, inferred=True))
        story.talk, story.talk_is_news = (agent_id, leg), True
        self._tell(story, f.CallAnswered(at=at, call_id=call_id, agent_id=agent_id, inferred=True))

    def _exit(self, event: LedgerEvent) -> None:
        members = self._bridges.get(event.bridge_id, {})
        members.pop(event.unique_id, None)
        members.pop(event.channel, None)
        if not members:
            self._bridges.pop(event.bridge_id, None)
        self._part(event)

    def _part(self, event: LedgerEvent) -> None:
        """This channel leaves whatever talk it is in."""
        caller = self._stories.get(event.unique_id)
        if caller is not None:
            self._recall(caller, event.at)
            if caller.known.room and event.event == "BRIDGE_EXIT":
                return
            self._end_talk(caller, "caller" if caller.known.first_agent is None else "agent", event.at)
            return
        for story in self._stories.values():
            if story.known.first_agent is not None and story.known.channel == event.channel:
                self._recall(story, event.at)
                self._end_talk(story, "caller", event.at)
                return
        agent_id = self._agent(event.unique_id, event.channel)
        if agent_id is None:
            return
        for story in self._stories.values():
            if story.known.room:
                self._part_of_room(story, event, agent_id)
                continue
            self._recall(story, event.at)
            if story.talk is None or story.talk[0] != agent_id:
                continue
            leg = story.talk[1]
            # Of a talk that began before this ledger the leg's id is unknown: peers and linked id must name the call.
            ours = leg == event.unique_id if leg else (
                story.channel in event.peers or event.linked_id == story.known.callers_leg
            )  # fmt: skip
            if ours:
                self._end_talk(story, "agent", event.at)

    def _part_of_room(self, story: _Story, event: LedgerEvent, agent_id: AgentId) -> None:
        """An agent's leg that ended takes its agent out of the talk; one that only left a bridge does not."""
        known = story.known
        ours = event.linked_id == known.callers_leg or call_of_party_leg(event.unique_id) == known.call_id
        talks = any(talk.agent_id == agent_id and talk.ended_at is None for talk in known.talks)
        if event.event == "BRIDGE_EXIT" or not ours or not talks:
            return
        if story.talk is not None and story.talk[0] == agent_id:
            story.talk, story.talk_is_news, story.left = None, False, ("agent", event.at)
        self._tell(story, f.TalkEnded(at=event.at, call_id=known.call_id, agent_id=agent_id, inferred=True))

    def _agent(self, unique_id: str, channel: str) -> AgentId | None:
        return _agent_of(channel) or self._outside.get(unique_id)

    def _recall(self, story: _Story, at: datetime) -> None:
        """A talk the journal has, whose beginning is not in the ledger we have, is going on at `at`."""
        talk = story.known.talking
        if story.talk is None and talk is not None and at >= talk.answered_at - SAME_MOMENT:
            story.talk, story.talk_is_news = (talk.agent_id, ""), True

    def _end_talk(self, story: _Story, who: Literal["caller", "agent"], at: datetime) -> None:
        if story.talk is None:
            return
        agent_id, _ = story.talk
        if story.talk_is_news:
            self._tell(story, f.TalkEnded(at=at, call_id=story.known.call_id, agent_id=agent_id, inferred=True))
        story.talk, story.talk_is_news, story.left = None, False, (who, at)

    def _gone(self, event: LedgerEvent, story: _Story | None) -> None:
        self._part(event)
        for bridge_id, members in list(self._bridges.items()):
            if members.pop(event.unique_id, None) is not None and not members:
                del self._bridges[bridge_id]
        if self._ids.get(event.channel) == event.unique_id:
            del self._ids[event.channel]
        if story is None or story.known.closed or _unreached(story.known):
            return
        cause = event.extra.get("hangupcause")
        self._tell(
            story,
            f.CallEnded(
                at=event.at,
                call_id=story.known.call_id,
                hangup_by=_hangup_by(story, event),
                cause=cause if isinstance(cause, int) and 0 <= cause < 1000 else 16,  # Q.850 has 127
                inferred=True,
            ),
        )
        del self._stories[event.unique_id]

    def close_before(self, moment: datetime) -> None:
        for story in list(self._stories.values()):
            if story.last_at >= moment or story.known.closed or _unreached(story.known):
                continue
            at = story.last_at
            self._recall(story, at)
            self._end_talk(story, "caller", at)
            call_id = story.known.call_id
            self._tell(story, f.CallEnded(at=at, call_id=call_id, hangup_by=HangupBy.SYSTEM, cause=0, inferred=True))
            del self._stories[story.known.callers_leg]


def _unreached(known: KnownCall) -> bool:
    """Whether the channel is an attempt that reached nobody: its end is not the callback's, and whoever dialled counts it."""
    return known.callback and not known.channel


def _hangup_by(story: _Story, event: LedgerEvent) -> HangupBy:
    source = event.extra.get("hangupsource")
    if isinstance(source, str) and source:
        if source == (event.channel if story.known.first_agent is None else story.known.channel):
            return HangupBy.CALLER
        if _agent_of(source) is not None:
            return HangupBy.AGENT
    if story.left is not None:
        who, at = story.left
        if who == "agent":
            return HangupBy.AGENT
        if event.at - at <= SAME_MOMENT:
            return HangupBy.CALLER
    return HangupBy.CALLER if event.extra.get("hangupcause") == UNHEARD else HangupBy.SYSTEM


def _agent_of(channel: str) -> AgentId | None:
    found = _AGENT.match(channel)
    return AgentId(found[1] or found[2]) if found is not None else None


def _call_of(event: LedgerEvent) -> CallId | None:
    """The call an event of our own names, if it is the channel's own: nobody speaks for another's call."""
    if event.fields and event.fields[0] == event.unique_id and _CALL_ID.match(event.unique_id):
        return CallId(event.unique_id)
    return None


def _is_closed(known: Mapping[CallId, KnownCall], call_id: CallId) -> bool:
    call = known.get(call_id)
    return call is not None and call.closed
